//! The sample of an evidence file.
//!
//! Owns the choice, which the end of the chain determines: the operator cannot choose the changes that an auditor sees, and the
//! auditor can check the choice.

use std::collections::{BTreeSet, BinaryHeap};

use super::place::Place;
use crate::hash::{Hash, hash};

/// Most changes in a sample.
pub const MOST_SAMPLED: u32 = 10_000;

/// The positions in a sample of at most `most` changes from `first` up to `end`: those with the smallest hash of the end's hash and
/// the position.
#[must_use]
pub fn sampled(first: i64, end: Place, most: u32) -> BTreeSet<i64> {
    let most = usize::try_from(most.min(MOST_SAMPLED)).unwrap_or_default();
    let mut smallest: BinaryHeap<(Hash, i64)> = BinaryHeap::new();
    for position in first..=end.position {
        smallest.push((hash(&format!("{} {position}", end.hash)), position));
        if smallest.len() > most {
            smallest.pop();
        }
    }
    smallest.into_iter().map(|(_, position)| position).collect()
}
