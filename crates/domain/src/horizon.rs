//! The dedup window: how long event ids are remembered, and in which partitions of time.
//!
//! Owns the partition of an id and the end of a partition. Time is the time at which the stream stored a message, since
//! a late fold of a backlog meets the same duplicates. Must never end a partition before the dedup window of an id in
//! it has passed.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// Partitions in a dedup window. More partitions mean more lookups for each id; fewer keep old ids for longer.
const SLICES: i64 = 4;

/// Minimum time for which ids are remembered, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon(i64);

/// One partition of the dedup window, in Unix seconds of the stream's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First second of the partition; also its name.
    pub from: i64,
    /// First second after the partition.
    pub to: i64,
}

impl Horizon {
    /// A dedup window in whole seconds; `None` if it is too short for its partitions.
    #[must_use]
    pub fn new(span: Duration) -> Option<Self> {
        let seconds = i64::try_from(span.as_secs()).ok()?;
        (seconds >= SLICES).then_some(Self(seconds))
    }

    /// Minimum time for which ids are remembered.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_secs(self.0.unsigned_abs())
    }

    /// The partition that must exist before a message of second `newest` is stored, if `slices` (oldest first) end
    /// before it.
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

    /// Whether every id in the partition has expired at second `oldest`.
    #[must_use]
    pub fn is_over(self, slice: &Slice, oldest: i64) -> bool {
        slice.to <= oldest - self.0
    }
}

/// The partition of a message stored in `second`: the first that ends after it, so the id is kept long enough.
#[must_use]
pub fn slice_of(slices: &[Slice], second: i64) -> Option<&Slice> {
    slices.iter().find(|slice| slice.to > second)
}

/// The beginning of a payload's SHA-256, which tells an identical event from a different one. Two different payloads
/// have equal beginnings with a chance of 1 in 2^64.
#[must_use]
pub fn payload_hash(payload: &[u8]) -> i64 {
    first_bytes(&Sha256::digest(payload))
}

/// The beginning of the SHA-256 of a whole message: its subject as the stream holds it, and its payload.
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
        // Behind a gap an id is kept longer rather than shorter.
        assert_eq!(slice_of(&[first, next], 115), Some(&next));
        assert_eq!(slice_of(&[first, next], 20), Some(&first));
        assert!(!horizon.is_over(&first, 149));
        assert!(horizon.is_over(&first, 150));
        // A new dedup window continues where the last partition ends.
        let longer = Horizon::new(Duration::from_secs(400)).expect("long enough");
        let after = longer.missing(&[first, next], 150).expect("none for it");
        assert_eq!(after, Slice { from: 140, to: 200 });
    }
}
