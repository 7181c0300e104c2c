//! A place in the chain.
//!
//! Owns the start of the chain, and the hash of the next place.

use serde::{Deserialize, Serialize};

use crate::hash::{Hash, hash};

/// A place in the chain, with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The number of the change, from 1 on.
    pub position: i64,
    /// Its hash.
    pub hash: Hash,
}

/// The start of the chain, before its first change.
pub const START: Place = Place {
    position: 0,
    hash: Hash::ZERO,
};

impl Place {
    /// The next place, with a content of this digest.
    #[must_use]
    pub fn next(&self, digest: Hash) -> Self {
        let position = self.position + 1;
        Self {
            position,
            hash: hash_at(position, self.hash, digest),
        }
    }
}

/// The hash at a position.
pub(super) fn hash_at(position: i64, previous: Hash, digest: Hash) -> Hash {
    hash(&format!("{position} {previous} {digest}"))
}
