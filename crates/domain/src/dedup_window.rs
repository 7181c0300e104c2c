//! The dedup window: how long event ids are remembered, and in which partitions of time.
//!
//! Owns the partition of an id and the end of a partition. Time is the time at which the stream stored a message, since
//! a late fold of a backlog meets the same duplicates. Must never end a partition before the dedup window of an id in
//! it has passed.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::event::Headers;
use super::hash::first_bytes;

/// Partitions in a dedup window. More partitions mean more lookups for each id; fewer keep old ids for longer.
const PARTITIONS: i64 = 4;

/// Minimum time for which ids are remembered, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DedupWindow(i64);

/// One partition of the dedup window, in Unix seconds of the stream's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// First second of the partition; also its name.
    pub from: i64,
    /// First second after the partition.
    pub to: i64,
}

impl DedupWindow {
    /// A dedup window in whole seconds; `None` if it is too short for its partitions.
    #[must_use]
    pub fn new(span: Duration) -> Option<Self> {
        let seconds = i64::try_from(span.as_secs()).ok()?;
        (seconds >= PARTITIONS).then_some(Self(seconds))
    }

    /// Minimum time for which ids are remembered.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_secs(self.0.unsigned_abs())
    }

    /// The partition that must exist before a message of second `newest` is stored, if `partitions` (oldest first) end
    /// before it.
    #[must_use]
    pub fn missing(self, partitions: &[Partition], newest: i64) -> Option<Partition> {
        let last = partitions.last().map_or(i64::MIN, |partition| partition.to);
        (last <= newest).then(|| behind(last, self.0 / PARTITIONS, newest))
    }

    /// Whether every id in the partition has expired at second `oldest`.
    #[must_use]
    pub fn is_over(self, partition: &Partition, oldest: i64) -> bool {
        partition.to <= oldest - self.0
    }
}

/// The partition of a message stored in `second`: the first that ends after it, so the id is kept long enough.
#[must_use]
pub fn partition_of(partitions: &[Partition], second: i64) -> Option<&Partition> {
    partitions.iter().find(|partition| partition.to > second)
}

/// The partition for a message stored in `second` where `last` is the newest one and ends before it: as long as that one.
#[must_use]
pub fn next(last: &Partition, second: i64) -> Partition {
    behind(last.to, (last.to - last.from).max(1), second)
}

/// The partition of this length that contains `second`, without its part before `end`.
fn behind(end: i64, length: i64, second: i64) -> Partition {
    let from = second - second.rem_euclid(length);
    Partition {
        from: from.max(end),
        to: from + length,
    }
}

/// The beginning of the SHA-256 of a whole message: its subject as the stream holds it, the headers that belong to its
/// event, and its payload.
#[must_use]
pub fn message_hash(subject: &str, headers: Option<&Headers>, payload: &[u8]) -> i64 {
    let mut digest = Sha256::new().chain_update(subject).chain_update([0]);
    if let Some(headers) = headers {
        digest.update(format!("{headers}\n"));
    }
    let digest = digest.chain_update(payload);
    first_bytes(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DedupWindow, Partition, next, partition_of};

    #[test]
    fn the_next_partition_contains_its_message_and_overlaps_none() {
        let last = Partition { from: 100, to: 110 };
        for second in [110, 111, 119, 120, 137] {
            let made = next(&last, second);
            assert!(
                made.from >= last.to && made.from <= second && second < made.to,
                "{made:?}"
            );
            assert_eq!(partition_of(&[last, made], second), Some(&made));
        }
    }

    #[test]
    fn partitions_follow_each_other_and_end_no_id_too_early() {
        assert_eq!(DedupWindow::new(Duration::from_secs(3)), None);
        let dedup_window = DedupWindow::new(Duration::from_secs(40)).expect("long enough");
        let first = dedup_window.missing(&[], 105).expect("none there");
        assert_eq!(first, Partition { from: 100, to: 110 });
        assert_eq!(dedup_window.missing(&[first], 109), None);
        let next = dedup_window.missing(&[first], 137).expect("none for it");
        assert_eq!(next, Partition { from: 130, to: 140 });
        // Behind a gap an id is kept longer rather than shorter.
        assert_eq!(partition_of(&[first, next], 115), Some(&next));
        assert_eq!(partition_of(&[first, next], 20), Some(&first));
        assert!(!dedup_window.is_over(&first, 149));
        assert!(dedup_window.is_over(&first, 150));
        // A new dedup window continues where the last partition ends.
        let longer = DedupWindow::new(Duration::from_secs(400)).expect("long enough");
        let after = longer.missing(&[first, next], 150).expect("none for it");
        assert_eq!(after, Partition { from: 140, to: 200 });
    }
}
