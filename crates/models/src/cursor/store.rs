//! Postgres, as far as a fold uses it: the cursor, the rules in force, an open loss, counts and dead letters.
//!
//! Owns the conditions under which a row changes, as the statements of `src/store/cursor_advance.rs` and `cursors.rs` have them;
//! both are driven with the same scripts and compared. Must never change a row in part.

use rolekeeper_domain::sequence_check::Folded;
use rolekeeper_domain::stream_loss::LossKind;

use super::events::{EVENTS, Taken};
use super::playlist::Kept;

/// The row of a stream's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Time at which the stream was created.
    pub created_ns: i64,
    /// Sequence of the last folded message.
    pub last_seq: u64,
    /// Time at which the stream stored that message; 0 if none was read.
    pub last_stored_ns: i64,
    /// Raised whenever an operator sets the cursor, a loss is recorded, or other rules come into force.
    pub epoch: i64,
    /// Store time of the newest message folded before an operator last set the cursor.
    pub newest_stored_ns: i64,
}

impl Cursor {
    /// The position that the sequence check compares with the stream.
    #[must_use]
    pub fn folded(&self) -> Folded {
        Folded {
            created_ns: self.created_ns,
            last_seq: self.last_seq,
            last_stored_ns: self.last_stored_ns,
        }
    }

    /// Store time of the newest message ever folded.
    #[must_use]
    pub fn newest_folded_ns(&self) -> i64 {
        self.newest_stored_ns.max(self.last_stored_ns)
    }
}

/// A move of the cursor with its conditions.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// The cursor as the caller expects it.
    pub from: Cursor,
    /// Sequence of the last message folded in this move.
    pub last_seq: u64,
    /// Time at which the stream stored that message.
    pub last_stored_ns: i64,
    /// The rules used by the fold.
    pub rules: u8,
}

/// The tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The cursor, from the first start on.
    pub cursor: Option<Cursor>,
    /// The rules in force.
    pub rules: u8,
    /// The loss that stands.
    pub loss: Option<LossKind>,
    /// For each event, how often it was counted.
    pub counted: [i8; EVENTS],
    /// For each event, its dead letters.
    pub letters: [i8; EVENTS],
    /// The playlist that the events are about.
    pub playlist: Kept,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            cursor: None,
            rules: 1,
            loss: None,
            counted: [0; EVENTS],
            letters: [0; EVENTS],
            playlist: Kept::default(),
        }
    }
}

impl Store {
    /// Writes the first cursor, unless there is one.
    pub fn first_cursor(&mut self, created_ns: i64, last_seq: u64) {
        self.cursor.get_or_insert(Cursor {
            created_ns,
            last_seq,
            last_stored_ns: 0,
            epoch: 1,
            newest_stored_ns: 0,
        });
    }

    /// Moves the cursor. Returns false and changes nothing if it is not where the caller expects it, or other rules are in
    /// force.
    pub fn advance(&mut self, to: &Move) -> bool {
        let rules_are_in_force = self.rules == to.rules;
        let Some(cursor) = self.at(&to.from).filter(|_| rules_are_in_force) else {
            return false;
        };
        cursor.last_seq = to.last_seq;
        cursor.last_stored_ns = to.last_stored_ns;
        true
    }

    /// Stores what the messages of a batch change.
    pub fn facts(&mut self, batch: &[(u8, Taken)]) {
        for (event, taken) in batch {
            let event = usize::from(*event);
            match taken {
                Taken::Counted => self.counted[event] += 1,
                Taken::Letter => self.letters[event] += 1,
            }
        }
    }

    /// Records a loss found at this cursor. Returns false if the cursor has changed. A fold that started before can no longer
    /// commit.
    pub fn report_loss(&mut self, at: &Cursor, kind: LossKind) -> bool {
        let Some(cursor) = self.at(at) else { return false };
        cursor.epoch += 1;
        self.loss.get_or_insert(kind);
        true
    }

    /// Accepts the loss: the fold continues right after `last_seq` of the stream created at `created_ns`. Returns false without a
    /// loss, or if the cursor was set since `from` was read.
    pub fn accept_loss(&mut self, from: &Cursor, created_ns: i64, last_seq: u64) -> bool {
        if self.loss.is_none() {
            return false;
        }
        let Some(cursor) = self.at(from) else { return false };
        *cursor = Cursor {
            created_ns,
            last_seq,
            last_stored_ns: 0,
            epoch: cursor.epoch + 1,
            newest_stored_ns: cursor.newest_folded_ns(),
        };
        self.loss = None;
        true
    }

    /// Makes the message right behind `from` a dead letter, and moves the cursor past it. Returns false if the cursor has moved.
    pub fn skip(&mut self, from: &Cursor, (seq, stored_ns): (u64, i64), event: u8) -> bool {
        let Some(cursor) = self.at(from) else { return false };
        cursor.last_seq = seq;
        cursor.last_stored_ns = stored_ns;
        cursor.epoch += 1;
        self.facts(&[(event, Taken::Letter)]);
        true
    }

    /// Puts other rules in force.
    pub fn put_rules(&mut self, rules: u8) {
        self.rules = rules;
        if let Some(cursor) = &mut self.cursor {
            cursor.epoch += 1;
        }
    }

    /// The cursor, if it is where the caller expects it.
    fn at(&mut self, expected: &Cursor) -> Option<&mut Cursor> {
        self.cursor.as_mut().filter(|cursor| {
            cursor.created_ns == expected.created_ns
                && cursor.last_seq == expected.last_seq
                && cursor.epoch == expected.epoch
        })
    }
}
