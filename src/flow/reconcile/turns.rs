//! The waits between two attempts.
//!
//! Owns how long the queue waits. Must never claim a user: each wait here can be stopped at any moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::dispatcher::{Dispatcher, POLL_INTERVAL};
use crate::flow::permit::Permit;
use crate::store::StoreError;
use crate::store::work_queue::Order;

/// The turn of the next attempt.
pub(super) struct Turn {
    /// Its place among the attempts in flight.
    pub(super) slot: OwnedSemaphorePermit,
    pub(super) permit: Permit,
    /// The attempt probes whether Auth0 accepts our calls again.
    pub(super) half_open: bool,
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

    /// Waits for a free slot, the end of a pause, permission to call and limits that are not too old. Returns none where
    /// the limits are no longer read.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let half_open = self.wait_for_half_open().await;
        let permit = self.rate_limiter.acquire().await;
        self.limits.fresh().await?;
        Some(Turn {
            slot,
            permit,
            half_open,
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
