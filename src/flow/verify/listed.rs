//! The bound of the lists in a result.

/// Entries of each list: the others are only counted, so that memory stays bounded.
const LISTED: usize = 10_000;

/// Adds entries to a list, up to the bound.
pub(super) fn list<T>(list: &mut Vec<T>, entries: impl IntoIterator<Item = T>) {
    let room = LISTED.saturating_sub(list.len());
    list.extend(entries.into_iter().take(room));
}
