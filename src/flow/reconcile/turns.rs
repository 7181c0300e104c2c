//! The waits between two attempts.
//!
//! Owns how long the queue waits. Must never claim a user: each wait here can be stopped at any moment.

use std::time::Duration;

use tokio::time::Instant;

use super::dispatcher::{Dispatcher, POLL_INTERVAL};
use super::slots::Slot;
use crate::flow::permit::Permit;
use crate::store::StoreError;
use crate::store::work_queue::Order;

/// Most users of a claim.
const MOST: usize = 64;
/// From this size of a claim on, a turn waits until permits for several attempts have come.
const LARGE: usize = 8;
/// Time for which they are collected.
const COLLECT: Duration = Duration::from_millis(50);

/// The turn of the next attempts.
pub(super) struct Turn {
    /// Their places among the attempts in flight, one for each permit.
    pub(super) slots: Vec<Slot>,
    pub(super) permits: Vec<Permit>,
    /// The attempt probes whether Auth0 accepts our calls again.
    pub(super) half_open: bool,
    /// Time at which the circuit breaker allowed it.
    pub(super) allowed_at: Instant,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The newest first, so that the pacer knows the last attempt that was made.
        while self.permits.pop().is_some() {}
    }
}

/// How many users the next claim takes: more, as long as as many are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClaimSize {
    next: usize,
    /// Claims that must take one user each.
    one_by_one: usize,
}

impl ClaimSize {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            one_by_one: 0,
        }
    }

    fn get(self) -> usize {
        if self.one_by_one > 0 { 1 } else { self.next }
    }

    /// Learns that a claim for `asked` users took `claimed`.
    pub(super) fn took(&mut self, asked: usize, claimed: usize) {
        self.one_by_one = self.one_by_one.saturating_sub(1);
        if claimed < asked {
            self.next = 1;
        } else if asked >= self.next {
            self.next = (self.next * 2).min(MOST);
        }
    }

    /// Takes the next users one by one.
    pub(super) fn one_by_one(&mut self, users: usize) {
        self.one_by_one = self.one_by_one.max(users);
    }
}

impl Dispatcher {
    /// The order in which the attempt with this number claims. Probes cycle through the priorities, whatever the result
    /// of the last one was. Otherwise the priority of a user who was just held comes last.
    pub(super) fn order(&self, number: u64, half_open: bool, held: Option<i16>) -> Order {
        match held {
            _ if half_open => Order::Probe(self.health.breaker().next_probe()),
            Some(priority) => Order::After(priority),
            None => Order::of(number),
        }
    }

    /// Waits for a free slot, the end of a pause, permission to call and limits that are not too old. Takes as many slots
    /// and permits as there are by then, up to `size`. Returns none where the limits are no longer read.
    pub(super) async fn turn(&self, size: ClaimSize) -> Option<Turn> {
        let mut slots = vec![self.context.slots.acquire().await];
        let half_open = self.wait_for_half_open().await;
        let allowed_at = Instant::now();
        let most = if half_open { 1 } else { size.get() };
        if most >= LARGE {
            let attempts = u32::try_from(most).unwrap_or(u32::MAX);
            tokio::time::sleep(self.rate_limiter.time_of(attempts).min(COLLECT)).await;
        }
        let mut permits = vec![self.rate_limiter.acquire().await];
        while permits.len() < most {
            let Some(slot) = self.context.slots.try_acquire() else {
                break;
            };
            let Ok(permit) = self.rate_limiter.try_acquire() else {
                break;
            };
            slots.push(slot);
            permits.push(permit);
        }
        self.limits.fresh().await?;
        Some(Turn {
            slots,
            permits,
            half_open,
            allowed_at,
        })
    }

    /// Waits until a user may be due; users that records alone queued may be due after `until_record_attempt`. Returns
    /// false when other rules are in force.
    pub(super) async fn no_user_is_due(&self, until_record_attempt: Duration) -> Result<bool, StoreError> {
        if !self.knows_the_rules_in_force().await? {
            return Ok(false);
        }
        if !self.paused_by_operator().await? {
            self.idle(until_record_attempt).await?;
        }
        Ok(true)
    }

    /// Waits for a notification, for the next user to be due, or for the poll interval; for users that records alone
    /// queued also until they may be attempted.
    async fn idle(&self, until_record_attempt: Duration) -> Result<(), StoreError> {
        let due = self
            .context
            .store
            .next_due(until_record_attempt.is_zero())
            .await?;
        let due = if until_record_attempt.is_zero() {
            due.unwrap_or(POLL_INTERVAL)
        } else {
            due.unwrap_or(POLL_INTERVAL).min(until_record_attempt)
        };
        let due = due.clamp(Duration::from_millis(5), POLL_INTERVAL);
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(due) => {}
        }
        Ok(())
    }

    /// Waits until the circuit breaker allows a probe. Returns whether the next attempt is a probe.
    async fn wait_for_half_open(&self) -> bool {
        let Some(until) = self.health.breaker().open_until() else {
            return false;
        };
        tokio::time::sleep_until(until).await;
        true
    }
}
