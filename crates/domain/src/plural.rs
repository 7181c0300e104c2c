//! Numbers beside nouns.
//!
//! Owns the choice between singular and plural. Must never decide how a number is shown.

/// The words after this number: for one thing, or for none or several.
#[must_use]
pub fn noun<'w, N: Copy + PartialEq + From<u8>>(number: N, one: &'w str, several: &'w str) -> &'w str {
    if number == N::from(1) { one } else { several }
}
