//! The experience that one fold keeps from one leadership to the next.
//!
//! Owns the size of the next batch, and which message must be handled alone. Must never let one failing message stop
//! those behind it, nor decide for itself that a dead letter has room. Pure.

use std::time::Duration;

use crate::store::{Cursor, Fault};

/// Longest duration of one transaction; past it the connection is taken for dead.
pub(super) const COMMIT_TIMEOUT: Duration = Duration::from_secs(90);
/// Time-outs of a single message before it is set aside, the last of them right before: a database that is slow for a
/// while is not the message's fault.
const TIMEOUTS_ALONE: u32 = 4;
/// Consecutive refused messages from which on the database is taken to be at fault.
const REFUSED_IN_A_ROW: u32 = 3;
/// Most messages that are handled alone behind one at which a reader ended.
const MOST_WATCHED: u32 = 512;
/// A reader that folded this many messages has passed the bad ones.
const LEFT_BEHIND: usize = 1_000;
/// Most messages of one pull request. The client library asks for the next ones while half of them are to come, so up to
/// one and a half times as many are in memory before the fold takes them.
const MOST_PULLED: usize = 4_000;
/// Batches grow again while they take less than this share of the longest commit.
const QUICK: u32 = 8;

/// A message that failed although it was alone.
#[derive(Clone, Debug)]
struct Alone {
    /// The cursor before it.
    cursor: i64,
    fault: Fault,
    times: u32,
}

/// The progress of one stream's fold.
#[derive(Debug)]
pub(super) struct Progress {
    full: usize,
    most: usize,
    pull: usize,
    epoch: i64,
    /// Last sequence of the smallest batch that failed: the cause lies at it or before.
    suspect: i64,
    alone: Option<Alone>,
    /// The cursor at which a reader ended without moving it.
    ended_at: Option<i64>,
    idle_ends: u32,
    failing: bool,
    /// Consecutive messages set aside because Postgres refused them.
    refused: u32,
    /// Number of messages handled alone behind the next one at which a reader ends, and number of messages folded in
    /// batches since the last one.
    watched: u32,
    in_batches: usize,
    /// The message that this process has marked as folded alone.
    pub(super) marked: Option<i64>,
}

impl Progress {
    /// Starts with batches of `full` messages at most.
    pub(super) fn new(full: usize) -> Self {
        Self {
            full,
            most: full,
            pull: full.min(MOST_PULLED),
            epoch: 0,
            suspect: 0,
            alone: None,
            ended_at: None,
            idle_ends: 0,
            failing: false,
            refused: 0,
            watched: 0,
            in_batches: 0,
            marked: None,
        }
    }

    /// Notes that a leadership starts at this cursor. A cursor that was set by hand may be anywhere: no message there
    /// is suspect.
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
        // While a fault is searched for, readers end often.
        self.pull.min(self.most.max(500))
    }

    /// Notes that the server accepts pull requests of at most this many messages.
    pub(super) fn limit_pull(&mut self, most: usize) {
        self.pull = self.pull.min(most.max(1));
    }

    /// Notes that a reader ended; the cursor was at `before` when it started, and is at `now`.
    pub(super) fn reader_ended(&mut self, before: i64, now: i64) {
        if before == now {
            (self.ended_at, self.idle_ends) = (Some(now), self.idle_ends + 1);
        } else {
            (self.ended_at, self.idle_ends) = (None, 0);
        }
    }

    /// Consecutive readers that ended without moving the cursor.
    pub(super) fn idle_ends(&self) -> u32 {
        self.idle_ends
    }

    /// Whether a reader ended right before the message behind this cursor, perhaps because of it.
    pub(super) fn is_suspect(&self, cursor: i64) -> bool {
        self.ended_at == Some(cursor)
    }

    /// Notes that there is no message behind the cursor, so none at which a reader could have ended.
    pub(super) fn nothing_there(&mut self) {
        self.ended_at = None;
    }

    /// Notes that a leadership failed, for any reason.
    pub(super) fn failed(&mut self) {
        self.failing = true;
    }

    /// Whether the last leaderships failed and no success followed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// Notes that the fold works again.
    pub(super) fn is_well(&mut self) {
        (self.failing, self.idle_ends) = (false, 0);
    }

    /// Notes that a batch of `count` messages behind `cursor`, up to `last`, was not committed.
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

    /// The reason to set aside the message right behind the cursor, if there is one.
    pub(super) fn set_aside(&self, cursor: i64) -> Option<&str> {
        let alone = self.alone.as_ref().filter(|alone| alone.cursor == cursor)?;
        match &alone.fault {
            Fault::Refused(why) => Some(why),
            Fault::TimedOut(why) => (alone.times >= TIMEOUTS_ALONE).then_some(why),
        }
    }

    /// Whether the next time-out sets aside the message right behind the cursor; that try comes at once.
    pub(super) fn is_last_try(&self, cursor: i64) -> bool {
        let alone = self.alone.as_ref().filter(|alone| alone.cursor == cursor);
        alone.is_some_and(|alone| {
            matches!(alone.fault, Fault::TimedOut(_)) && alone.times + 1 == TIMEOUTS_ALONE
        })
    }

    /// Notes that there is no room for the letter of the message right behind the cursor: it is retried first.
    pub(super) fn no_room(&mut self) {
        self.alone = None;
    }

    /// Whether Postgres refused the last messages, each on its own.
    pub(super) fn refuses_all(&self) -> bool {
        self.refused >= REFUSED_IN_A_ROW
    }

    /// Number of messages behind one at which a reader ended that are handled alone too. It grows from one end to the
    /// next, since each reader that ends costs as much time as many messages.
    pub(super) fn watch_more(&mut self) -> u32 {
        let many = std::mem::take(&mut self.in_batches) > LEFT_BEHIND;
        self.watched = if many {
            1
        } else {
            (self.watched * 2).clamp(1, MOST_WATCHED)
        };
        self.watched
    }

    /// Notes that a transaction of `count` messages was committed: the cursor is at `last`.
    pub(super) fn committed(&mut self, last: i64, count: usize, took: Duration) {
        if count > 1 {
            self.in_batches = self.in_batches.saturating_add(count);
        }
        self.refused = 0;
        self.moved(last, took);
    }

    fn moved(&mut self, last: i64, took: Duration) {
        (self.alone, self.ended_at) = (None, None);
        self.is_well();
        if self.most < self.full && last >= self.suspect && took < COMMIT_TIMEOUT / QUICK {
            self.most = (self.most * 2).min(self.full);
        }
    }

    /// Notes that a message became a dead letter: the cursor is at `seq`. The next message may be like it.
    pub(super) fn buried(&mut self, seq: i64, was_suspect: bool, refused: bool) {
        self.moved(seq, Duration::ZERO);
        self.ended_at = was_suspect.then_some(seq);
        self.refused = if refused { self.refused + 1 } else { 0 };
        self.failing = self.refuses_all();
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
                progress.buried(cursor, false, true);
            } else if (cursor + 1..=last).contains(&bad) {
                failures += 1;
                progress.batch_failed(cursor, count, last, refused());
            } else {
                cursor = last;
                progress.committed(cursor, count, Duration::ZERO);
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
    async fn a_message_that_times_out_gets_four_tries() {
        let mut progress = Progress::new(1);
        for tries in 1..TIMEOUTS_ALONE {
            progress.batch_failed(7, 1, 8, Fault::TimedOut("late".to_owned()));
            assert_eq!(progress.set_aside(7), None);
            assert_eq!(progress.is_last_try(7), tries + 1 == TIMEOUTS_ALONE);
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
        progress.committed(8, 4, COMMIT_TIMEOUT / 2);
        assert_eq!(progress.batch(), 4);
        progress.committed(12, 4, Duration::from_secs(1));
        assert_eq!(progress.batch(), 8);
    }

    #[test]
    fn a_database_that_refuses_all_is_not_well() {
        let mut progress = Progress::new(1);
        for seq in 1..=3 {
            assert!(!progress.is_failing());
            progress.buried(seq, false, true);
        }
        assert!(progress.is_failing() && progress.refuses_all());
        progress.committed(4, 1, Duration::ZERO);
        assert!(!progress.is_failing() && !progress.refuses_all());
    }

    #[test]
    fn more_messages_are_watched_as_long_as_readers_end() {
        let mut progress = Progress::new(10);
        let watched: Vec<_> = (0..12).map(|_| progress.watch_more()).collect();
        assert_eq!(watched, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 512]);
        progress.committed(9, LEFT_BEHIND + 1, Duration::ZERO);
        assert_eq!(progress.watch_more(), 1);
    }
}
