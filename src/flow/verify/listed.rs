//! The bound of the lists in a result.

/// Entries of each list: the others are only counted, so that memory stays bounded.
pub(super) const LISTED: usize = 10_000;
