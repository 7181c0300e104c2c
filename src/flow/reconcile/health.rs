//! The health of the stage: why it is not ready.
//!
//! Owns the circuit breaker, the reads without a write because too much time passed in between, and the readiness that
//! follows from both. Must never report the stage as ready while one of them stands.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::circuit_breaker::CircuitBreaker;
use crate::lifecycle::Readiness;

/// Name of the stage in readiness and logs.
pub(in crate::flow) const STAGE: &str = "reconcile";
/// With this many wasted reads inside [`INSIDE`] the stage is not ready.
const TOO_MANY: usize = 10;
const INSIDE: Duration = Duration::from_mins(5);

/// The health of the stage during a leadership.
#[derive(Debug)]
pub(super) struct Health {
    readiness: Readiness,
    breaker: Mutex<CircuitBreaker>,
    reads_without_write: Mutex<ReadsWithoutWrite>,
}

/// The newest wasted reads.
#[derive(Debug, Default)]
struct ReadsWithoutWrite {
    newest: VecDeque<Instant>,
    reported: bool,
}

impl ReadsWithoutWrite {
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

impl Health {
    pub(super) fn new(readiness: Readiness) -> Self {
        Self {
            readiness,
            breaker: Mutex::default(),
            reads_without_write: Mutex::default(),
        }
    }

    pub(super) fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the former leadership: what another worker did since is not known here. Calls that are still refused open the
    /// circuit breaker again.
    pub(super) fn begin(&self) {
        *self.breaker() = CircuitBreaker::default();
        *self.reads_without_write() = ReadsWithoutWrite::default();
    }

    /// Reports ready in either case, unless credentials are in doubt or Postgres is too slow to write.
    pub(super) fn report_ready(&self, how: &'static str) {
        if self.breaker().open_until().is_none() && !self.reads_without_write().reported {
            self.readiness.ready(STAGE, how);
        }
    }

    /// Reports why the stage is not ready.
    pub(super) fn report_not_ready(&self, why: impl Into<String>) {
        self.readiness.not_ready(STAGE, why);
    }

    /// Notes that a profile was read and not written, because too much time passed.
    pub(super) fn read_in_vain(&self) {
        if self.reads_without_write().note(Instant::now()) {
            error!(
                "{TOO_MANY} users in a row were read and not written: Postgres is too slow to write safely. Look for \
                 locks and load in Postgres; roles are written again as soon as a decision takes less than 2 s"
            );
            self.report_not_ready("Postgres too slow to write safely");
        }
    }

    /// Notes that an attempt completed in time.
    pub(super) fn in_time(&self) {
        if self.reads_without_write().end() {
            info!("Postgres is fast enough to write safely");
            self.report_ready("active");
        }
    }

    fn reads_without_write(&self) -> MutexGuard<'_, ReadsWithoutWrite> {
        self.reads_without_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_reads_without_write_in_five_minutes_are_reported_once() {
        let (start, mut reads_without_write) = (Instant::now(), ReadsWithoutWrite::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!((0..9).all(|n| !reads_without_write.note(at(n * 60))));
        assert!(
            (9..20).all(|n| !reads_without_write.note(at(n * 60))),
            "ten in nine minutes"
        );
        let reported: Vec<u64> = (0..30)
            .filter(|n| reads_without_write.note(at(1_200 + n * 10)))
            .collect();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(reads_without_write.end() && !reads_without_write.end());
        assert!(!reads_without_write.note(at(2_000)));
    }
}
