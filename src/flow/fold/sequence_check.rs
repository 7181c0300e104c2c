//! Checks whether the deliveries of the stream follow the committed cursor.
//!
//! Owns the judgement of every sequence and store time. Must never accept a message that does not follow, and never
//! give a loss the wrong name when the stream itself shows the right one. Pure.

use crate::bus::StreamState;
use crate::store::{Cursor, LossKind};

/// A loss and its description for the operator.
pub(super) type StreamLoss = (LossKind, String);

/// Whether a stream with this state is the one to which the cursor belongs, with all messages that are not folded yet.
/// Reading starts *behind* the cursor; the cursor's own message, where it exists, is compared by [`replaced`].
pub(super) fn judge(cursor: &Cursor, state: &StreamState) -> Result<(), StreamLoss> {
    let last = cursor.last_seq.unsigned_abs();
    if state.created_ns != cursor.created_ns {
        return Err((
            LossKind::Recreated,
            format!(
                "the stream was recreated; {last} was the last folded sequence of the old one, the new one holds {} messages",
                state.messages
            ),
        ));
    }
    if state.last_seq < last {
        return Err((
            LossKind::Rewound,
            format!(
                "the stream ends at {}, but {last} is already folded: an older copy was restored",
                state.last_seq
            ),
        ));
    }
    if state.first_seq > last + 1 {
        let (first, gone) = (state.first_seq, state.first_seq - last - 1);
        return Err(if state.messages == 0 {
            (
                LossKind::Purged,
                format!(
                    "the stream was purged: {gone} messages after {last} were removed before they were folded"
                ),
            )
        } else {
            (
                LossKind::Overtaken,
                format!(
                    "the stream begins at {first}: {gone} messages after {last} were removed before they were folded"
                ),
            )
        });
    }
    Ok(())
}

/// Whether the message at the cursor differs from the folded one: `stored_ns` is the time at which the stream stored
/// it. A cursor that was set by hand has no store time.
pub(super) fn replaced(cursor: &Cursor, stored_ns: i64) -> Option<StreamLoss> {
    if cursor.last_stored_ns == 0 || cursor.last_stored_ns == stored_ns {
        return None;
    }
    let why = format!(
        "message {} has another store time than the folded message",
        cursor.last_seq
    );
    Some((LossKind::Replaced, why))
}

/// Follows the deliveries of one reader.
#[derive(Debug)]
pub(super) struct SequenceCheck {
    last_seq: u64,
}

/// Messages are missing behind those that were delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// Sequence expected.
    pub(super) expected: u64,
    /// Sequence delivered.
    pub(super) got: u64,
}

impl SequenceCheck {
    pub(super) fn new(cursor: &Cursor) -> Self {
        Self {
            last_seq: cursor.last_seq.unsigned_abs(),
        }
    }

    /// Takes the next delivery with the sequence `seq`. The first delivery must come right behind the cursor, each
    /// other one right behind the one before it.
    pub(super) fn delivery(&mut self, seq: u64) -> Result<(), Gap> {
        let expected = self.last_seq + 1;
        if seq != expected {
            return Err(Gap { expected, got: seq });
        }
        self.last_seq = seq;
        Ok(())
    }
}

/// Names a jump: retention at the front, or a hole in the middle.
pub(super) fn name_gap(Gap { expected, got }: Gap, state: &StreamState) -> StreamLoss {
    let gone = got.saturating_sub(expected);
    if state.first_seq > expected {
        (
            LossKind::Overtaken,
            format!(
                "the stream begins at {}: {gone} messages from {expected} on were removed before they were folded",
                state.first_seq
            ),
        )
    } else {
        (
            LossKind::Hole,
            format!("{gone} messages from {expected} on are missing in the middle of the stream"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(last_seq: i64) -> Cursor {
        Cursor {
            created_ns: 7,
            last_seq,
            last_stored_ns: 70,
            epoch: 1,
            newest_stored_ns: 0,
            last_hash: None,
            repeats_until_ns: 0,
            repeats_window_s: 0,
        }
    }

    fn state(first_seq: u64, last_seq: u64) -> StreamState {
        StreamState {
            created_ns: 7,
            first_seq,
            last_seq,
            messages: (last_seq + 1).saturating_sub(first_seq),
            bytes: 0,
            max_bytes: -1,
            last_stored_ns: 0,
            differences: Vec::new(),
            denies_purge: false,
            is_mirror: false,
            has_transform: true,
        }
    }

    #[test]
    fn a_stream_is_the_one_whose_cursor_this_is() {
        for (last, first_seq, last_seq, expected) in [
            (0, 1, 0, Ok(())), // the stream was never used
            (0, 1, 9, Ok(())),
            (5, 1, 9, Ok(())),
            (5, 5, 9, Ok(())),
            (5, 6, 9, Ok(())), // retention removed the folded message, no message is missing
            (5, 6, 5, Ok(())), // all messages are folded and expired
            (5, 7, 9, Err(LossKind::Overtaken)),
            (5, 10, 9, Err(LossKind::Purged)),
            (5, 1, 4, Err(LossKind::Rewound)),
        ] {
            let judged = judge(&cursor(last), &state(first_seq, last_seq)).map_err(|(kind, _)| kind);
            assert_eq!(judged, expected, "cursor {last}, stream {first_seq}..={last_seq}");
        }
        let made_again = StreamState {
            created_ns: 8,
            ..state(1, 9)
        };
        assert_eq!(judge(&cursor(5), &made_again).unwrap_err().0, LossKind::Recreated);
    }

    #[test]
    fn the_message_at_the_cursor_is_known_by_its_store_time() {
        assert_eq!(replaced(&cursor(5), 70), None);
        assert_eq!(
            replaced(&cursor(5), 71).map(|(kind, _)| kind),
            Some(LossKind::Replaced)
        );
        let by_hand = Cursor {
            last_stored_ns: 0,
            ..cursor(5)
        };
        assert_eq!(replaced(&by_hand, 71), None);
    }

    #[test]
    fn deliveries_follow_or_do_not() {
        let mut check = SequenceCheck::new(&cursor(5));
        assert_eq!(check.delivery(6), Ok(()));
        assert_eq!(check.delivery(8), Err(Gap { expected: 7, got: 8 }));
        assert_eq!(check.delivery(6), Err(Gap { expected: 7, got: 6 }));
        let at_the_cursor = SequenceCheck::new(&cursor(5)).delivery(5);
        assert_eq!(at_the_cursor, Err(Gap { expected: 6, got: 5 }));
    }
}
