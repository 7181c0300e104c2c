//! Compares all facts with all decisions, partition by partition.
//!
//! Owns the pace: at once after a change of rules or limits, otherwise a partition at each sweep, so that small tables are
//! compared whole each time and large ones once a day. Must never end the leadership: every failure is retried.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::store::{Compare, Store, StoreError};
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::schedule::PARKED_FOR;

/// The longest duration of a round.
const ROUND: Duration = Duration::from_hours(24);
/// Delay before a failed partition is retried.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The rounds; run where this worker reconciles.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) store: Store,
    pub(super) rules: Arc<Rules>,
    /// False in shadow mode.
    pub(super) writes: bool,
    /// Time between two sweeps.
    pub(super) every: Duration,
}

impl Walk {
    /// Compares until dropped.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let mut timer = tokio::time::interval(self.every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let fingerprint = self.rules.fingerprint();
        let mut failed = false;
        loop {
            timer.tick().await;
            while let Err(why) = self.walk(&fingerprint).await {
                if failed {
                    debug!("the comparison of facts with decisions failed again: {why}");
                } else {
                    warn!("a partition of the comparison of facts with decisions failed; retrying: {why}");
                }
                failed = true;
                tokio::time::sleep(RETRY_AFTER).await;
            }
            failed = false;
        }
    }

    /// Compares as many partitions as are due, or a whole round that a change requires.
    async fn walk(&self, fingerprint: &str) -> Result<(), StoreError> {
        let compare = Compare {
            rules: &self.rules,
            fingerprint,
            writes: self.writes,
            gone_for: PARKED_FOR,
        };
        let mut done = 0;
        // None: other rules are in force, and this leadership is about to end.
        while let Some(partition) = self.store.walk_partition(&compare).await? {
            done += 1;
            if partition.changed && partition.ended {
                info!(
                    users = partition.enqueued_in_round,
                    "all users were compared with the changed rules and limits"
                );
            } else if !partition.changed && partition.enqueued > 0 {
                warn!(
                    users = partition.enqueued,
                    "sweep queued users whose roles do not match the rules"
                );
            }
            if partition.ended || (!partition.changed && done >= due(partition.last_partitions, self.every)) {
                break;
            }
        }
        Ok(())
    }
}

/// Number of partitions at each sweep with which a round of `partitions` ends in time.
fn due(partitions: i64, every: Duration) -> u64 {
    let times = (ROUND.as_secs() / every.as_secs().max(1)).max(1);
    partitions.unsigned_abs().div_ceil(times).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_takes_a_day_at_most() {
        let minute = Duration::from_mins(1);
        assert_eq!((due(0, minute), due(1, minute), due(1_440, minute)), (1, 1, 1));
        assert_eq!((due(1_441, minute), due(14_400, minute)), (2, 10));
        assert_eq!(due(600, ROUND), 600);
        assert_eq!(due(600, Duration::from_hours(48)), 600);
    }
}
