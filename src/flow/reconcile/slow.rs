//! Reads without a write, because too much time passed in between.
//!
//! Owns when that is reported, and the stage's readiness for it. Must never write from an old read.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Reconcile;
use crate::flow::backoff::base_delay;
use crate::metrics::Unsent;
use crate::store::{Claim, StoreError, leases};
use rolekeeper_domain::schedule::{Ended, Next, next};

/// Longest time from the response to a read until its write. A write of another client in between is overwritten, so
/// the time must be short; a healthy Postgres needs some hundredths of a second.
pub(super) const WRITE_WITHIN: Duration = Duration::from_secs(2);
/// With this many wasted reads inside [`INSIDE`] the stage is not ready.
const TOO_MANY: usize = 10;
const INSIDE: Duration = Duration::from_mins(5);
/// Shortest and longest delay before the user of a wasted read is read again.
const LEAST_DELAY: Duration = Duration::from_secs(2);
const LONGEST_DELAY: Duration = Duration::from_mins(5);

/// The newest wasted reads.
#[derive(Debug, Default)]
pub(super) struct InVain {
    newest: VecDeque<Instant>,
    reported: bool,
}

impl InVain {
    /// Notes a wasted read. Returns whether there are too many from now on.
    fn note(&mut self, now: Instant) -> bool {
        self.newest.push_back(now);
        if self.newest.len() > TOO_MANY {
            self.newest.pop_front();
        }
        let oldest = self.newest.front().copied().unwrap_or(now);
        let too_many = self.newest.len() == TOO_MANY && now.duration_since(oldest) <= INSIDE;
        let first = too_many && !self.reported;
        self.reported |= too_many;
        first
    }

    /// Notes that an attempt ended in time. Returns whether there were too many wasted reads before.
    fn end(&mut self) -> bool {
        self.newest.clear();
        std::mem::take(&mut self.reported)
    }
}

impl Reconcile {
    /// Requeues a user whose write was not sent in time, to be read again.
    pub(super) async fn read_again(&self, claim: &Claim) -> Result<(), StoreError> {
        self.metrics.reconcile.in_vain.of(Unsent::Slow).inc();
        let attempt = u32::try_from(claim.attempts).unwrap_or(0).saturating_add(2);
        let base = base_delay(attempt).min(LONGEST_DELAY);
        let Next::Again { after, .. } = next(Ended::Later, attempt, base, rand::random(), Some(LEAST_DELAY))
        else {
            return Ok(());
        };
        let why = "more than 2 s, or the rest of the lease, passed between the read and the write";
        warn!(
            again_in_s = after.as_secs_f64(),
            "not written: {why}; the user is read again"
        );
        if self.in_vain().note(Instant::now()) {
            error!(
                "{TOO_MANY} users in a row were read and not written: Postgres is too slow to write safely. Look for \
                 locks and load in Postgres; roles are written again as soon as a decision takes less than 2 s"
            );
            self.readiness
                .not_ready(super::STAGE, "Postgres too slow to write safely");
        }
        let mut tx = self.store.begin().await?;
        leases::again(&mut tx, claim, after, true, Some(why)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that an attempt completed in time.
    pub(super) fn in_time(&self) {
        if self.in_vain().end() {
            info!("Postgres is fast enough to write safely");
            self.report_ready("active");
        }
    }

    /// Whether too many wasted reads were reported and no attempt since completed in time.
    pub(super) fn is_too_slow(&self) -> bool {
        self.in_vain().reported
    }

    fn in_vain(&self) -> std::sync::MutexGuard<'_, InVain> {
        self.in_vain
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_reads_in_vain_within_five_minutes_are_reported_once() {
        let (start, mut in_vain) = (Instant::now(), InVain::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!((0..9).all(|n| !in_vain.note(at(n * 60))));
        assert!((9..20).all(|n| !in_vain.note(at(n * 60))), "ten in nine minutes");
        let reported: Vec<u64> = (0..30).filter(|n| in_vain.note(at(1_200 + n * 10))).collect();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(in_vain.end() && !in_vain.end());
        assert!(!in_vain.note(at(2_000)));
    }
}
