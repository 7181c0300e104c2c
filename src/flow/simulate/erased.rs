//! Users of the messages who were erased.
//!
//! Owns the look-up of each user that a message names as an owner. Must never keep the id of a user who was not erased.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::store::{Store, StoreError};
use rolekeeper_domain::event::{Event, EventKind};

/// The erased ones of the owners found so far.
pub(super) struct Erased<'a> {
    store: &'a Store,
    hasher: RandomState,
    /// Hashes of the owners that were looked up, or are next.
    seen: HashSet<u64>,
    next: Vec<String>,
    ids: HashSet<String>,
}

impl<'a> Erased<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self {
            store,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            next: Vec::new(),
            ids: HashSet::new(),
        }
    }

    /// Notes the owner that an event names.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let (EventKind::Saved { owner, .. } | EventKind::Deleted { owner: Some(owner) }) = &event.kind else {
            return;
        };
        if self.seen.insert(self.hasher.hash_one(owner.as_str())) {
            self.next.push(owner.as_str().to_owned());
        }
    }

    /// Looks up the noted owners.
    pub(super) async fn find(&mut self) -> Result<(), StoreError> {
        let next = std::mem::take(&mut self.next);
        if !next.is_empty() {
            let next: Vec<&str> = next.iter().map(String::as_str).collect();
            self.ids.extend(self.store.erased_among(&next).await?);
        }
        Ok(())
    }

    /// The erased users.
    pub(super) fn into_ids(self) -> HashSet<String> {
        self.ids
    }
}
