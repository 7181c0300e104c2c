//! How long event ids are remembered, and in which slices of time.
//!
//! Owns which slice an id belongs to and when a slice is over. Time is when the stream stored a message: a backlog that is
//! folded late has the same repeats in it. Must never let a slice end before the horizon of an id in it.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Slices in a horizon: with more, each id is looked up in more of them; with fewer, old ids lie about for longer.
const SLICES: i64 = 4;

/// How long ids are remembered at least, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(i64);

/// Part of a horizon, in Unix seconds of the stream's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First second that belongs to it; also its name.
    pub from: i64,
    /// First second that no longer does.
    pub to: i64,
}

impl Horizon {
    /// A horizon in whole seconds; none when it is too short to be sliced.
    #[must_use]
    pub fn new(span: Duration) -> Option<Self> {
        let seconds = i64::try_from(span.as_secs()).ok()?;
        (seconds >= SLICES).then_some(Self(seconds))
    }

    /// How long ids are remembered at least.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_secs(self.0.unsigned_abs())
    }

    /// The slice to be made before a message of second `newest` can be kept, if `slices`, oldest first, end before it.
    #[must_use]
    pub fn missing(self, slices: &[Slice], newest: i64) -> Option<Slice> {
        let length = self.0 / SLICES;
        let from = newest - newest.rem_euclid(length);
        let last = slices.last().map_or(i64::MIN, |slice| slice.to);
        (last <= newest).then(|| Slice {
            from: from.max(last),
            to: from + length,
        })
    }

    /// Whether nothing in the slice is remembered any more at second `oldest`.
    #[must_use]
    pub fn is_over(self, slice: &Slice, oldest: i64) -> bool {
        slice.to <= oldest - self.0
    }
}

/// The slice of a message stored in `second`: the first that ends after it, so that it is remembered long enough.
#[must_use]
pub fn slice_of(slices: &[Slice], second: i64) -> Option<&Slice> {
    slices.iter().find(|slice| slice.to > second)
}

/// The beginning of a payload's SHA-256: byte for byte the same, or another event. That two differ and are taken for the
/// same has a chance of 1 in 2^64.
#[must_use]
pub fn payload_hash(payload: &[u8]) -> i64 {
    first_bytes(&Sha256::digest(payload))
}

/// The same of a whole message: its subject as the stream holds it, and its payload.
#[must_use]
pub fn message_hash(subject: &str, payload: &[u8]) -> i64 {
    let digest = Sha256::new()
        .chain_update(subject)
        .chain_update([0])
        .chain_update(payload);
    first_bytes(&digest.finalize())
}

fn first_bytes(digest: &[u8]) -> i64 {
    let first = digest.iter().take(8);
    first.fold(0, |hash, byte| (hash << 8) | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Horizon, Slice, slice_of};

    #[test]
    fn slices_follow_each_other_and_end_no_id_too_early() {
        assert_eq!(Horizon::new(Duration::from_secs(3)), None);
        let horizon = Horizon::new(Duration::from_secs(40)).expect("long enough");
        let first = horizon.missing(&[], 105).expect("none there");
        assert_eq!(first, Slice { from: 100, to: 110 });
        assert_eq!(horizon.missing(&[first], 109), None);
        let next = horizon.missing(&[first], 137).expect("none for it");
        assert_eq!(next, Slice { from: 130, to: 140 });
        // Behind a gap: rather remembered for too long.
        assert_eq!(slice_of(&[first, next], 115), Some(&next));
        assert_eq!(slice_of(&[first, next], 20), Some(&first));
        assert!(!horizon.is_over(&first, 149));
        assert!(horizon.is_over(&first, 150));
        // Another horizon goes on where the last slice ends.
        let longer = Horizon::new(Duration::from_secs(400)).expect("long enough");
        let after = longer.missing(&[first, next], 150).expect("none for it");
        assert_eq!(after, Slice { from: 140, to: 200 });
    }
}
