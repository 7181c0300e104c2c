//! Retractions of plays from an earlier life of their playlist, where event ids are remembered.
//!
//! Owns which retractions change nothing because the count of that life was deleted with it. Must never void the
//! retraction of an unknown play: it may be ahead of its play.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::affected_users::Read;
use crate::store::{StoreError, Tx, event_ids, playlist_lifecycles};
use rolekeeper_domain::dedup_window::Partition;
use rolekeeper_domain::event::EventKind;
use rolekeeper_domain::ids::UserId;

/// The changes of a batch to the lives of its playlists.
#[derive(Debug, Default)]
pub(super) struct PlaylistLifecycles {
    /// Retracted ids whose plays belong to an earlier life, or came while the playlist was deleted.
    pub(super) past: HashSet<String>,
    /// Playlists that were saved again, with the time.
    begun: BTreeMap<String, i64>,
}

impl PlaylistLifecycles {
    /// Follows the lives of the playlists through the batch.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        read: &Read,
        partitions: &[Partition],
    ) -> Result<Self, StoreError> {
        let matters = |kind: &EventKind<'_>| {
            matches!(
                kind,
                EventKind::Retraction { .. } | EventKind::Saved { .. } | EventKind::Deleted { .. }
            )
        };
        let events = || read.events.iter().zip(&read.stored_ns);
        let mut found = Self::default();
        let playlists: BTreeSet<&str> = events()
            .filter(|(event, _)| matters(&event.kind))
            .map(|(event, _)| event.playlist.as_str())
            .collect();
        if playlists.is_empty() {
            return Ok(found);
        }
        let playlists: Vec<&str> = playlists.into_iter().collect();
        let mut now = playlist_lifecycles::of(tx, &playlists).await?;
        let retracted: Vec<&str> = events()
            .filter_map(|(event, _)| match &event.kind {
                EventKind::Retraction { of } => Some(of.as_str()),
                _ => None,
            })
            .collect();
        let names: Vec<i64> = partitions.iter().map(|partition| partition.from).collect();
        let plays = event_ids::stored(tx, &names, &retracted).await?;
        for (event, stored_ns) in events() {
            let playlist = event.playlist.as_str();
            let life = match &event.kind {
                EventKind::Retraction { .. } | EventKind::Saved { .. } | EventKind::Deleted { .. } => {
                    now.entry(playlist.to_owned()).or_default()
                }
                EventKind::Play | EventKind::Duplicate => continue,
            };
            match &event.kind {
                EventKind::Deleted { owner } => {
                    let by = owner.as_ref().map(UserId::as_str);
                    life.deleted |= by.is_none() || by == life.owner.as_deref();
                }
                EventKind::Saved { owner, .. } => {
                    life.owner = Some(owner.as_str().to_owned());
                    if std::mem::take(&mut life.deleted) {
                        life.since_ns = Some(*stored_ns);
                        found.begun.insert(playlist.to_owned(), *stored_ns);
                    }
                }
                EventKind::Retraction { of } => {
                    let play = plays.get(of.as_str());
                    if play.zip(life.since_ns).is_some_and(|(play, since)| *play < since) {
                        found.past.insert(of.as_str().to_owned());
                    }
                }
                EventKind::Play | EventKind::Duplicate => {}
            }
        }
        Ok(found)
    }

    /// Stores the lives that began, once their playlists are written.
    pub(super) async fn keep(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let (playlists, since): (Vec<&str>, Vec<i64>) =
            self.begun.iter().map(|(id, since)| (id.as_str(), *since)).unzip();
        playlist_lifecycles::begun(tx, &playlists, &since).await
    }
}
