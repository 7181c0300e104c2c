//! What the terms of one fold learn from each other.
//!
//! Owns how large the next batch may be, and which message must be handled alone. Must never let one message that fails stop
//! those behind it, and never blame messages for a database that refuses many. Pure but for the clock.

use std::time::Duration;

use tokio::time::Instant;

use super::COMMIT_TIMEOUT;
use crate::store::dead_letters::KEPT_PER_HOUR;
use crate::store::{Cursor, Fault};

/// Time-outs of a single message before it is set aside: a lock that is held for a while is not its fault.
const TIMEOUTS_ALONE: u32 = 3;
/// Batches grow again while they take less than this share of the longest commit.
const QUICK: u32 = 8;
/// Refused messages are counted for so long.
const WINDOW: Duration = Duration::from_hours(1);

/// A message that failed although it was alone.
#[derive(Clone, Debug)]
struct Alone {
    /// The cursor before it.
    cursor: i64,
    fault: Fault,
    times: u32,
}

/// How the fold of one stream gets on.
#[derive(Debug)]
pub(super) struct Progress {
    full: usize,
    most: usize,
    pull: usize,
    epoch: i64,
    /// Last sequence of the smallest batch that failed: what makes it fail lies there or before.
    suspect: i64,
    alone: Option<Alone>,
    /// Where the cursor was when a reader ended without moving it.
    ended_at: Option<i64>,
    idle_ends: u32,
    failing: bool,
    refused: usize,
    refused_since: Instant,
    /// The message that this process has marked as folded alone.
    pub(super) marked: Option<i64>,
}

impl Progress {
    /// Batches of `full` messages at most.
    pub(super) fn new(full: usize) -> Self {
        Self {
            full,
            most: full,
            pull: full,
            epoch: 0,
            suspect: 0,
            alone: None,
            ended_at: None,
            idle_ends: 0,
            failing: false,
            refused: 0,
            refused_since: Instant::now(),
            marked: None,
        }
    }

    /// A term begins at this cursor. One that was set by hand may be anywhere: nothing is suspect there.
    pub(super) fn opened(&mut self, cursor: &Cursor) {
        if self.epoch != cursor.epoch {
            (self.epoch, self.suspect) = (cursor.epoch, 0);
        }
    }

    /// Most messages of the next transaction.
    pub(super) fn batch(&self) -> usize {
        self.most
    }

    /// Most messages of one pull request.
    pub(super) fn pull(&self) -> usize {
        // While a fault is searched for, readers come and go.
        self.pull.min(self.most.max(500))
    }

    /// The server takes pull requests of so many messages only.
    pub(super) fn limit_pull(&mut self, most: usize) {
        self.pull = self.pull.min(most.max(1));
    }

    /// A reader ended; the cursor was at `before` when it began, and is at `now`.
    pub(super) fn reader_ended(&mut self, before: i64, now: i64) {
        if before == now {
            (self.ended_at, self.idle_ends) = (Some(now), self.idle_ends + 1);
        } else {
            (self.ended_at, self.idle_ends) = (None, 0);
        }
    }

    /// Readers in a row that ended without moving the cursor.
    pub(super) fn idle_ends(&self) -> u32 {
        self.idle_ends
    }

    /// Whether a reader ended right before the message behind this cursor, perhaps because of it.
    pub(super) fn is_suspect(&self, cursor: i64) -> bool {
        self.ended_at == Some(cursor)
    }

    /// There is no message behind the cursor, so none that a reader could have ended at.
    pub(super) fn nothing_there(&mut self) {
        self.ended_at = None;
    }

    /// A term failed, whatever it was.
    pub(super) fn failed(&mut self) {
        self.failing = true;
    }

    /// Whether the last terms failed and nothing has gone well since.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Nothing fails any more.
    pub(super) fn is_well(&mut self) {
        (self.failing, self.idle_ends) = (false, 0);
    }

    /// A batch of `count` messages behind `cursor`, up to `last`, was not committed.
    pub(super) fn batch_failed(&mut self, cursor: i64, count: usize, last: i64, fault: Fault) {
        self.suspect = last;
        if count > 1 {
            (self.most, self.alone) = (count / 2, None);
            return;
        }
        self.most = 1;
        let before = self.alone.take().filter(|before| before.cursor == cursor);
        let times = before.map_or(0, |before| before.times) + 1;
        self.alone = Some(Alone { cursor, fault, times });
    }

    /// Why the message right behind the cursor is to be set aside, if it is.
    pub(super) fn set_aside(&self, cursor: i64) -> Option<&str> {
        let alone = self.alone.as_ref().filter(|alone| alone.cursor == cursor)?;
        match &alone.fault {
            Fault::Refused(why) => Some(why),
            Fault::TimedOut(why) => (alone.times >= TIMEOUTS_ALONE).then_some(why),
        }
    }

    /// Counts a message that is set aside because Postgres does not take it. False when there are too many to blame them.
    pub(super) fn may_set_aside(&mut self) -> bool {
        if self.refused_since.elapsed() >= WINDOW {
            (self.refused, self.refused_since) = (0, Instant::now());
        }
        self.refused += 1;
        // As many as are kept whole, so that each can be published again.
        self.refused <= KEPT_PER_HOUR
    }

    /// A transaction was committed: the cursor is at `last`.
    pub(super) fn committed(&mut self, last: i64, took: Duration) {
        (self.alone, self.ended_at) = (None, None);
        self.is_well();
        if self.most < self.full && last >= self.suspect && took < COMMIT_TIMEOUT / QUICK {
            self.most = (self.most * 2).min(self.full);
        }
    }

    /// A message was made a dead letter: the cursor is at `seq`. The next one may be like it.
    pub(super) fn buried(&mut self, seq: i64, was_suspect: bool) {
        self.committed(seq, Duration::ZERO);
        self.ended_at = was_suspect.then_some(seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Fault {
        Fault::Refused("no".to_owned())
    }

    /// A stream in which Postgres refuses one message.
    fn search(progress: &mut Progress, bad: i64, end: i64) -> (u32, Vec<i64>) {
        let (mut cursor, mut failures, mut set_aside) = (0, 0, Vec::new());
        while cursor < end {
            let count = progress.batch().min(usize::try_from(end - cursor).unwrap());
            let last = cursor + i64::try_from(count).unwrap();
            if progress.set_aside(cursor).is_some() {
                cursor += 1;
                set_aside.push(cursor);
                progress.buried(cursor, false);
            } else if (cursor + 1..=last).contains(&bad) {
                failures += 1;
                progress.batch_failed(cursor, count, last, refused());
            } else {
                cursor = last;
                progress.committed(cursor, Duration::ZERO);
            }
        }
        (failures, set_aside)
    }

    #[tokio::test]
    async fn one_refused_message_is_found_by_halves() {
        for bad in [1, 2, 5_000, 9_999, 10_000] {
            let mut progress = Progress::new(10_000);
            let (failures, set_aside) = search(&mut progress, bad, 50_000);
            assert_eq!(set_aside, [bad]);
            assert!(failures <= 15, "{failures} failures to find {bad}");
            assert_eq!(progress.batch(), 10_000, "batches grow again");
        }
    }

    #[tokio::test]
    async fn a_message_that_times_out_gets_three_tries() {
        let mut progress = Progress::new(1);
        for _ in 0..2 {
            progress.batch_failed(7, 1, 8, Fault::TimedOut("late".to_owned()));
            assert_eq!(progress.set_aside(7), None);
        }
        progress.batch_failed(7, 1, 8, Fault::TimedOut("late".to_owned()));
        assert_eq!(
            (progress.set_aside(7), progress.set_aside(8)),
            (Some("late"), None)
        );
    }

    #[tokio::test]
    async fn a_slow_database_gets_small_batches_until_it_is_quick() {
        let mut progress = Progress::new(8);
        progress.batch_failed(0, 8, 8, Fault::TimedOut("late".to_owned()));
        progress.committed(8, COMMIT_TIMEOUT / 2);
        assert_eq!(progress.batch(), 4);
        progress.committed(12, Duration::from_secs(1));
        assert_eq!(progress.batch(), 8);
    }

    #[tokio::test]
    async fn a_database_that_refuses_everything_is_at_fault_itself() {
        let mut progress = Progress::new(1);
        assert!((0..KEPT_PER_HOUR).all(|_| progress.may_set_aside()));
        assert!(!progress.may_set_aside());
    }
}
