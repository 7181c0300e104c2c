//! Retractions that change nothing: repeats of an earlier one, and those of a play of an earlier life of the playlist.
//!
//! Owns the same choice as the fold made, from what it stored: table `retractions`, and the remembered event ids.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::bus::Message;
use crate::store::{Store, StoreError, event_ids, history};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::event::{self, Event, EventKind};
use rolekeeper_domain::replay::History;

/// The retractions found so far.
pub(super) struct Voids<'a> {
    store: &'a Store,
    first_ns: i64,
    hasher: RandomState,
    /// Hashes of the retracted ids.
    seen: HashSet<u64>,
    /// Sequences of retractions that change nothing.
    void: HashSet<u64>,
}

impl<'a> Voids<'a> {
    /// `first_ns`: when the first replayed message was stored, Unix nanoseconds.
    pub(super) fn new(store: &'a Store, first_ns: i64) -> Self {
        Self {
            store,
            first_ns,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            void: HashSet::new(),
        }
    }

    /// Whether the retraction in this message changes nothing.
    pub(super) fn has(&self, seq: u64) -> bool {
        self.void.contains(&seq)
    }

    /// Looks up the retractions of the next messages.
    pub(super) async fn find(&mut self, batch: &[Message], history: &History) -> Result<(), StoreError> {
        let retractions: Vec<(&Message, Event<'_>)> = batch
            .iter()
            .filter(|message| memchr::memmem::find(message.payload(), b"play_retracted").is_some())
            .filter_map(|message| Some((message, event::parse(message.subject(), message.payload()).ok()?)))
            .collect();
        let of = |event: &Event<'_>| match &event.kind {
            EventKind::Retraction { of } => Some(of.as_str().to_owned()),
            _ => None,
        };
        let plays: Vec<String> = retractions.iter().filter_map(|(_, event)| of(event)).collect();
        if plays.is_empty() {
            return Ok(());
        }
        let plays: Vec<&str> = plays.iter().map(String::as_str).collect();
        let mut tx = self.store.begin_to_read().await?;
        let before = history::retracted_before(&mut tx, &plays, of_unix_ns(self.first_ns)).await?;
        let partitions = event_ids::partitions_now(&mut tx).await?;
        let names: Vec<i64> = partitions.iter().map(|partition| partition.from).collect();
        let stored = if names.is_empty() {
            std::collections::HashMap::new()
        } else {
            event_ids::stored(&mut tx, &names, &plays).await?
        };
        tx.commit().await?;
        for (message, event) in &retractions {
            let Some(play) = of(event) else { continue };
            let since = history.saved_again_ns(event.playlist.as_str());
            let since = since.filter(|since| *since <= message.stored_ns);
            let is_past = stored
                .get(&play)
                .zip(since)
                .is_some_and(|(play, since)| *play < since);
            let is_first = self.seen.insert(self.hasher.hash_one(&play));
            if !is_first || before.contains(&play) || is_past {
                self.void.insert(message.seq);
            }
        }
        Ok(())
    }
}
