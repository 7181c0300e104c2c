//! The waits between two attempts, and the work done beside them.
//!
//! Owns how long the queue waits. Must never claim a user: each wait here can be stopped at any moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{POLL_INTERVAL, Reconcile};
use crate::flow::permit::Permit;
use crate::store::StoreError;
use crate::store::work_queue::Order;

/// Wait between two sums of counters while they change: a brake reads the changes that are not summed.
const SUM_AGAIN: Duration = Duration::from_millis(200);
/// The same while nothing changes.
const SUM_IDLE: Duration = Duration::from_secs(1);

impl Reconcile {
    /// Sums the changes of the counters. A failure only leaves more to sum.
    pub(in crate::flow) async fn sum_counters(&self) -> std::convert::Infallible {
        loop {
            let wait = match self.store.sum_counters().await {
                Ok(1..) => SUM_AGAIN,
                Ok(_) | Err(_) => SUM_IDLE,
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// The order in which the attempt with this number claims. Probes cycle through the priorities, whatever the result
    /// of the last one was.
    pub(super) fn order(&self, number: u64, half_open: bool) -> Order {
        if half_open {
            Order::Probe(self.breaker().next_probe())
        } else {
            Order::of(number)
        }
    }

    /// Waits for a free slot, the end of a pause, permission to call and limits that are not too old. Returns also
    /// whether the next attempt is a probe.
    pub(super) async fn turn(&self, slots: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, bool, Permit)> {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        let half_open = self.wait_for_half_open().await;
        let permit = self.rate_limiter.acquire().await;
        self.limits.fresh().await?;
        Some((slot, half_open, permit))
    }

    /// Waits until a user may be due; users that records alone queued may be due after `until_record_attempt`. Returns
    /// false when other rules are in force.
    pub(super) async fn no_user_is_due(&self, until_record_attempt: Duration) -> Result<bool, StoreError> {
        if !self.store.rules_are_in_force(&self.fingerprint).await? {
            return Ok(false);
        }
        if !self.paused_by_person().await? {
            self.idle(until_record_attempt).await?;
        }
        Ok(true)
    }

    /// Waits for a notification, for the next user to be due, or for the poll interval; for users that records alone
    /// queued also until they may be attempted.
    async fn idle(&self, until_record_attempt: Duration) -> Result<(), StoreError> {
        let due = self.store.next_due(until_record_attempt.is_zero()).await?;
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
        let Some(until) = self.breaker().open_until() else {
            return false;
        };
        tokio::time::sleep_until(until).await;
        true
    }
}
