//! Checks whether the messages of a stream follow the committed cursor.
//!
//! Owns the judgement of every sequence and store time. Must never accept a message that does not follow, and never
//! give a loss the wrong name when the stream itself shows the right one. Pure.

use crate::plural::noun;
use crate::stream_loss::{LossKind, StreamLoss};

/// The position up to which a stream is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// Time at which the folded stream was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the last folded message; 0 for none.
    pub last_seq: u64,
    /// Time at which the stream stored that message, Unix nanoseconds; 0 if none was read, as after the operator has
    /// set the position.
    pub last_stored_ns: i64,
}

/// The range of messages that a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Time at which the stream was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the oldest stored message; `last_seq + 1` without one.
    pub first_seq: u64,
    /// Sequence of the newest message ever stored; 0 without one.
    pub last_seq: u64,
    /// Number of stored messages.
    pub messages: u64,
}

impl Extent {
    /// The position of a stream that was never folded: all its messages are new.
    #[must_use]
    pub fn start(&self) -> Folded {
        Folded {
            created_ns: self.created_ns,
            last_seq: self.first_seq.max(1) - 1,
            last_stored_ns: 0,
        }
    }
}

impl Folded {
    /// Whether the stream with this extent is the folded one, with all messages that are not folded yet. Reading starts
    /// *behind* the last folded message; that message, where it exists, is compared by [`Folded::replaced`].
    ///
    /// # Errors
    /// The loss that the extent shows.
    pub fn judge(&self, extent: &Extent) -> Result<(), StreamLoss> {
        let last = self.last_seq;
        let lost = |kind, detail| Err(StreamLoss { kind, detail });
        if extent.created_ns != self.created_ns {
            return lost(
                LossKind::Recreated,
                format!(
                    "the stream was recreated; {last} was the last folded sequence of the old one, the new one holds {} {}",
                    extent.messages,
                    noun(extent.messages, "message", "messages")
                ),
            );
        }
        if extent.last_seq < last {
            return lost(
                LossKind::Rewound,
                format!(
                    "the stream ends at {}, but {last} is already folded: an older copy was restored",
                    extent.last_seq
                ),
            );
        }
        if extent.first_seq <= last + 1 {
            return Ok(());
        }
        let (first, gone) = (extent.first_seq, extent.first_seq - last - 1);
        if extent.messages == 0 {
            lost(
                LossKind::Purged,
                format!(
                    "the stream was purged: {gone} {} after {last} {}",
                    noun(gone, "message", "messages"),
                    unfolded(gone)
                ),
            )
        } else {
            lost(
                LossKind::Overtaken,
                format!(
                    "the stream begins at {first}: {gone} {} after {last} {}",
                    noun(gone, "message", "messages"),
                    unfolded(gone)
                ),
            )
        }
    }

    /// Sequence of the folded message that the stream may still hold, so that [`Folded::replaced`] can compare it.
    /// Without it, the first delivery must be the message right behind it.
    #[must_use]
    pub fn comparable(&self, extent: &Extent) -> Option<u64> {
        (self.last_stored_ns != 0 && self.last_seq >= extent.first_seq).then_some(self.last_seq)
    }

    /// Whether the message at this position differs from the folded one: `stored_ns` is the time at which the stream
    /// stored it. A position that was set by hand has no store time.
    #[must_use]
    pub fn replaced(&self, stored_ns: i64) -> Option<StreamLoss> {
        if self.last_stored_ns == 0 || self.last_stored_ns == stored_ns {
            return None;
        }
        let detail = format!(
            "message {} has another store time than the folded message",
            self.last_seq
        );
        Some(StreamLoss {
            kind: LossKind::Replaced,
            detail,
        })
    }

    /// Sequence of the message that must come next; `None` if the stream holds no message behind this position.
    #[must_use]
    pub fn next(&self, extent: &Extent) -> Option<u64> {
        (extent.last_seq > self.last_seq).then(|| self.last_seq + 1)
    }
}

/// Whether messages are missing where `expected` must come next: `first` is the sequence of the first message that the
/// stream holds from there on, none if it holds no more. [`Folded::judge`] finds those that the stream's front lacks.
#[must_use]
pub fn missing(expected: u64, first: Option<u64>, extent: &Extent) -> Option<StreamLoss> {
    let got = first.unwrap_or(extent.last_seq + 1);
    (got != expected).then(|| Gap { expected, got }.lost())
}

/// Follows the deliveries of one reader.
#[derive(Debug)]
pub struct SequenceCheck {
    last_seq: u64,
}

/// Messages are missing behind those that were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Sequence expected.
    pub expected: u64,
    /// Sequence delivered.
    pub got: u64,
}

impl SequenceCheck {
    /// Starts behind the last folded message.
    #[must_use]
    pub fn new(folded: &Folded) -> Self {
        Self {
            last_seq: folded.last_seq,
        }
    }

    /// Takes the next delivery with the sequence `seq`. The first delivery must come right behind the last folded
    /// message, each other one right behind the one before it.
    ///
    /// # Errors
    /// The delivery does not follow.
    pub fn delivery(&mut self, seq: u64) -> Result<(), Gap> {
        let expected = self.last_seq + 1;
        if seq != expected {
            return Err(Gap { expected, got: seq });
        }
        self.last_seq = seq;
        Ok(())
    }
}

impl Gap {
    fn lost(self) -> StreamLoss {
        let Self { expected, got } = self;
        let gone = got.saturating_sub(expected);
        StreamLoss {
            kind: LossKind::Hole,
            detail: format!(
                "{gone} {} from {expected} on {} missing in the middle of the stream",
                noun(gone, "message", "messages"),
                noun(gone, "is", "are")
            ),
        }
    }
}

fn unfolded(gone: u64) -> &'static str {
    noun(
        gone,
        "was removed before it was folded",
        "were removed before they were folded",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(last_seq: u64) -> Folded {
        Folded {
            created_ns: 7,
            last_seq,
            last_stored_ns: 70,
        }
    }

    fn extent(first_seq: u64, last_seq: u64) -> Extent {
        Extent {
            created_ns: 7,
            first_seq,
            last_seq,
            messages: (last_seq + 1).saturating_sub(first_seq),
        }
    }

    fn kind(loss: Option<StreamLoss>) -> Option<LossKind> {
        loss.map(|loss| loss.kind)
    }

    #[test]
    fn a_stream_is_the_one_whose_cursor_this_is() {
        for (last, first_seq, last_seq, expected) in [
            (0, 1, 0, None), // the stream was never used
            (0, 1, 9, None),
            (5, 1, 9, None),
            (5, 5, 9, None),
            (5, 6, 9, None), // retention removed the folded message, no message is missing
            (5, 6, 5, None), // all messages are folded and expired
            (5, 7, 9, Some(LossKind::Overtaken)),
            (5, 10, 9, Some(LossKind::Purged)),
            (5, 1, 4, Some(LossKind::Rewound)),
        ] {
            let judged = folded(last).judge(&extent(first_seq, last_seq)).err();
            assert_eq!(
                kind(judged),
                expected,
                "cursor {last}, stream {first_seq}..={last_seq}"
            );
        }
        let made_again = Extent {
            created_ns: 8,
            ..extent(1, 9)
        };
        assert_eq!(
            kind(folded(5).judge(&made_again).err()),
            Some(LossKind::Recreated)
        );
    }

    #[test]
    fn the_message_at_the_cursor_is_known_by_its_store_time() {
        assert_eq!(folded(5).replaced(70), None);
        assert_eq!(kind(folded(5).replaced(71)), Some(LossKind::Replaced));
        let by_hand = Folded {
            last_stored_ns: 0,
            ..folded(5)
        };
        assert_eq!(by_hand.replaced(71), None);
        let comparable = |folded: Folded, first_seq| folded.comparable(&extent(first_seq, 9));
        assert_eq!(comparable(folded(5), 5), Some(5));
        assert_eq!(comparable(folded(5), 6), None, "it was removed");
        assert_eq!(comparable(by_hand, 5), None);
    }

    #[test]
    fn a_stream_that_was_never_folded_starts_at_its_first_message() {
        for (first_seq, last_seq, expected) in [(1, 0, 0), (0, 0, 0), (1, 9, 0), (4, 9, 3), (10, 9, 9)] {
            let extent = extent(first_seq, last_seq);
            let start = extent.start();
            assert_eq!(start.last_seq, expected, "stream {first_seq}..={last_seq}");
            assert_eq!(start.judge(&extent), Ok(()));
        }
    }

    #[test]
    fn deliveries_follow_or_do_not() {
        let mut check = SequenceCheck::new(&folded(5));
        assert_eq!(check.delivery(6), Ok(()));
        assert_eq!(check.delivery(8), Err(Gap { expected: 7, got: 8 }));
        assert_eq!(check.delivery(6), Err(Gap { expected: 7, got: 6 }));
        let at_the_cursor = SequenceCheck::new(&folded(5)).delivery(5);
        assert_eq!(at_the_cursor, Err(Gap { expected: 6, got: 5 }));
    }

    #[test]
    fn a_message_that_is_missing_behind_the_cursor_is_a_hole() {
        assert_eq!(folded(5).next(&extent(1, 5)), None, "nothing waits");
        assert_eq!(folded(5).next(&extent(1, 9)), Some(6));
        for (first, expected) in [
            (Some(6), None),
            (Some(8), Some(LossKind::Hole)),
            (None, Some(LossKind::Hole)),
        ] {
            let lost = missing(6, first, &extent(1, 9));
            assert_eq!(kind(lost), expected, "got {first:?}");
        }
    }
}
