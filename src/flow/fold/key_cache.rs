//! Cache of the surrogate keys of playlists.
//!
//! Owns a table of a fixed size. Must never be trusted: its content is a hint, and Postgres compares the id as well.

use std::hash::{BuildHasher as _, RandomState};

/// Number of places, a power of two: 4 MiB in all. The most played playlists stay in their places, or return at once.
const PLACES: usize = 1 << 19;
/// The bits of a place that distinguish one playlist from the others that share the place.
const TAG_BITS: u32 = 24;

/// Remembers the key of the playlist that was last seen at each place.
pub(super) struct KeyCache {
    places: Vec<u64>,
    hasher: RandomState,
}

impl KeyCache {
    /// Creates an empty cache.
    pub(super) fn new() -> Self {
        Self {
            places: vec![0; PLACES],
            hasher: RandomState::new(),
        }
    }

    /// The key of `playlist`, if it is remembered.
    pub(super) fn get(&self, playlist: &str) -> Option<i64> {
        let (place, tag) = self.place(playlist);
        let kept = self.places[place];
        let known = kept != 0 && kept & ((1 << TAG_BITS) - 1) == tag;
        known.then_some((kept >> TAG_BITS).cast_signed())
    }

    /// Remembers a key. A key too large for its place is left out.
    pub(super) fn learn(&mut self, playlist: &str, key: i64) {
        let (place, tag) = self.place(playlist);
        let key = key.cast_unsigned();
        if key.leading_zeros() >= TAG_BITS {
            self.places[place] = key << TAG_BITS | tag;
        }
    }

    fn place(&self, playlist: &str) -> (usize, u64) {
        let hash = self.hasher.hash_one(playlist);
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let place = hash as usize % PLACES;
        (place, hash >> (u64::BITS - TAG_BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_known_until_others_take_its_place() {
        let mut cache = KeyCache::new();
        assert_eq!(cache.get("pl_1"), None);
        cache.learn("pl_1", 1);
        cache.learn("pl_2", (1 << 40) - 1);
        cache.learn("pl_3", 1 << 40);
        cache.learn("pl_4", -1);
        let known = ["pl_1", "pl_2", "pl_3", "pl_4"].map(|playlist| cache.get(playlist));
        assert_eq!(known, [Some(1), Some((1 << 40) - 1), None, None]);

        let ids: Vec<String> = (0..2 * PLACES).map(|n| format!("other_{n}")).collect();
        for (n, id) in (1..).zip(&ids) {
            cache.learn(id, n);
        }
        let known = (1..)
            .zip(&ids)
            .filter(|(n, id)| cache.get(id) == Some(*n))
            .count();
        assert!(
            (PLACES / 2..=PLACES).contains(&known),
            "{known} of {PLACES} places are used"
        );
    }
}
