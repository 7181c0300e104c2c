//! Does what the stream delivers follow what was committed?
//!
//! Owns the judgement of every sequence and store time. Must never take a message that does not follow, and
//! never call a loss by the wrong name when the stream itself can tell. Pure.

use crate::bus::StreamState;
use crate::store::{Cursor, LossKind};

/// A loss and its description for a person.
pub(super) type Lost = (LossKind, String);

/// Where to start reading, judged from what the stream says of itself. Reading starts *at* the cursor, so that
/// the first delivery proves that this is the stream we knew.
pub(super) fn start_at(cursor: &Cursor, state: &StreamState) -> Result<u64, Lost> {
    let last = cursor.last_seq.unsigned_abs();
    if state.created_ns != cursor.created_ns {
        return Err((
            LossKind::Recreated,
            format!(
                "the stream was made again; {last} of the old one was the last folded, the new one holds {} messages",
                state.messages
            ),
        ));
    }
    if state.last_seq < last {
        return Err((
            LossKind::Rewound,
            format!(
                "the stream ends at {}, {last} was folded already: an older copy was restored",
                state.last_seq
            ),
        ));
    }
    if state.first_seq > last + 1 {
        let (first, gone) = (state.first_seq, state.first_seq - last - 1);
        return Err(if state.messages == 0 {
            (
                LossKind::Purged,
                format!("the stream was emptied: {gone} messages after {last} are gone unfolded"),
            )
        } else {
            (
                LossKind::Overtaken,
                format!("the stream begins at {first}: {gone} messages after {last} are gone unfolded"),
            )
        });
    }
    Ok(if last >= state.first_seq { last } else { last + 1 })
}

/// Follows the deliveries of one reader.
#[derive(Debug)]
pub(super) struct Follow {
    last_seq: u64,
    last_stored_ns: i64,
    first: bool,
}

/// What to do with a delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Folded already; it only proves the stream.
    Known,
    /// The next one.
    Next,
    /// It does not follow.
    Broken(Broken),
}

/// How a delivery does not follow.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The message at the cursor is not the one that was folded.
    Replaced(String),
    /// Messages are missing from here (exclusive) on.
    Jump {
        /// Sequence expected.
        expected: u64,
        /// Sequence delivered.
        got: u64,
    },
}

impl Follow {
    pub(super) fn new(cursor: &Cursor) -> Self {
        Self {
            last_seq: cursor.last_seq.unsigned_abs(),
            last_stored_ns: cursor.last_stored_ns,
            first: true,
        }
    }

    pub(super) fn step(&mut self, seq: u64, stored_ns: i64) -> Step {
        let first = std::mem::replace(&mut self.first, false);
        if first && seq == self.last_seq {
            // A cursor set by hand knows no store time.
            if self.last_stored_ns != 0 && stored_ns != self.last_stored_ns {
                let why = format!("message {seq} was stored at another time than the one folded");
                return Step::Broken(Broken::Replaced(why));
            }
            return Step::Known;
        }
        let expected = self.last_seq + 1;
        if seq != expected {
            return Step::Broken(Broken::Jump { expected, got: seq });
        }
        self.last_seq = seq;
        Step::Next
    }
}

/// Names a jump: retention at the front, or a hole in the middle.
pub(super) fn name_jump(expected: u64, got: u64, state: &StreamState) -> Lost {
    let gone = got.saturating_sub(expected);
    if state.first_seq > expected {
        (
            LossKind::Overtaken,
            format!(
                "the stream begins at {}: {gone} messages from {expected} on are gone unfolded",
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
            has_transform: true,
        }
    }

    #[test]
    fn where_to_start() {
        for (last, first_seq, last_seq, expected) in [
            (0, 1, 0, Ok(1)), // nothing was ever there
            (0, 1, 9, Ok(1)),
            (5, 1, 9, Ok(5)), // the cursor's own message proves the stream
            (5, 5, 9, Ok(5)),
            (5, 6, 9, Ok(6)), // retention has removed it, nothing is missing
            (5, 6, 5, Ok(6)), // all folded, all expired
            (5, 7, 9, Err(LossKind::Overtaken)),
            (5, 10, 9, Err(LossKind::Purged)),
            (5, 1, 4, Err(LossKind::Rewound)),
        ] {
            let judged = start_at(&cursor(last), &state(first_seq, last_seq)).map_err(|(kind, _)| kind);
            assert_eq!(judged, expected, "cursor {last}, stream {first_seq}..={last_seq}");
        }
        let made_again = StreamState {
            created_ns: 8,
            ..state(1, 9)
        };
        assert_eq!(
            start_at(&cursor(5), &made_again).unwrap_err().0,
            LossKind::Recreated
        );
    }

    fn jump(expected: u64, got: u64) -> Step {
        Step::Broken(Broken::Jump { expected, got })
    }

    #[test]
    fn deliveries_follow_or_do_not() {
        let mut follow = Follow::new(&cursor(5));
        assert_eq!(follow.step(5, 70), Step::Known);
        assert_eq!(follow.step(6, 80), Step::Next);
        assert_eq!(follow.step(8, 90), jump(7, 8));

        assert!(matches!(
            Follow::new(&cursor(5)).step(5, 71),
            Step::Broken(Broken::Replaced(_))
        ));
        assert_eq!(Follow::new(&cursor(5)).step(6, 71), Step::Next);
        assert_eq!(Follow::new(&cursor(5)).step(7, 71), jump(6, 7));
        // A repeat is known only as the very first delivery.
        let mut follow = Follow::new(&cursor(5));
        follow.step(6, 80);
        assert_eq!(follow.step(6, 80), jump(7, 6));
    }
}
