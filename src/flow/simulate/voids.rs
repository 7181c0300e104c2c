//! Retractions that change nothing: repeats of an earlier one, and those of a play of an earlier life of the playlist.
//!
//! Owns the same choice as the fold made, from what it stored: table `retractions`, and the remembered event ids. Must never hide that
//! a choice is not known.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use time::OffsetDateTime;

use crate::bus::Message;
use crate::store::{Store, StoreError, event_ids, history};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::event::{self, Event, EventKind};
use rolekeeper_domain::replay::History;

/// The retractions found so far.
pub(super) struct Voids<'a> {
    store: &'a Store,
    first_ns: i64,
    /// A time at which all messages before the replayed ones were counted.
    all_before_at: Option<OffsetDateTime>,
    hasher: RandomState,
    /// Hashes of the retracted ids.
    seen: HashSet<u64>,
    /// Playlists with a retraction that may repeat one from before, which was counted late.
    doubtful: BTreeSet<String>,
}

impl<'a> Voids<'a> {
    /// `first_ns`: when the first replayed message was stored, Unix nanoseconds. `all_before_at`: a time at which all messages before it
    /// were counted.
    pub(super) fn new(store: &'a Store, first_ns: i64, all_before_at: Option<OffsetDateTime>) -> Self {
        Self {
            store,
            first_ns,
            all_before_at,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            doubtful: BTreeSet::new(),
        }
    }

    /// Playlists whose counts are not known because of a retraction that may repeat one from before.
    pub(super) fn doubtful(&self) -> &BTreeSet<String> {
        &self.doubtful
    }

    /// Looks up the retractions of the next messages; returns the sequences of those that change nothing.
    pub(super) async fn find(
        &mut self,
        batch: &[Message],
        history: &History,
    ) -> Result<HashSet<u64>, StoreError> {
        let mut void = HashSet::new();
        let retractions: Vec<(&Message, Event<'_>)> = batch
            .iter()
            .filter(|message| may_retract(message))
            .filter_map(|message| {
                Some((
                    message,
                    event::parse(message.subject(), message.headers(), message.payload()).ok()?,
                ))
            })
            .collect();
        let of = |event: &Event<'_>| match &event.kind {
            EventKind::Retraction { of } => Some(of.as_str().to_owned()),
            _ => None,
        };
        let plays: Vec<String> = retractions.iter().filter_map(|(_, event)| of(event)).collect();
        if plays.is_empty() {
            return Ok(void);
        }
        let plays: Vec<&str> = plays.iter().map(String::as_str).collect();
        let mut tx = self.store.begin_to_read().await?;
        let counted = history::retracted(&mut tx, &plays).await?;
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
            let counted_at = counted.get(&play);
            let is_repeat = counted_at.is_some_and(|at| *at < of_unix_ns(self.first_ns));
            if !is_first || is_repeat || is_past {
                void.insert(message.seq);
            } else if counted_at.is_some_and(|at| self.all_before_at.is_none_or(|all| *at <= all)) {
                self.doubtful.insert(event.playlist.as_str().to_owned());
            }
        }
        Ok(void)
    }
}

/// Whether the message may hold a retraction: its payload names the type, unless headers or escapes do.
fn may_retract(message: &Message) -> bool {
    let payload = message.payload();
    message.headers().is_some()
        || memchr::memchr(b'\\', payload).is_some()
        || memchr::memmem::find(payload, b"play_retracted").is_some()
}
