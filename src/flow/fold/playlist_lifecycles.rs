//! The lives of playlists: a deletion ends one, and the next saving begins another.
//!
//! Owns how a life ends and begins, and, where event ids are remembered, which retractions change nothing because the count
//! of their play's life was deleted with it. Must never void the retraction of an unknown play: it may be ahead of its play.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::affected_users::{Read, Touched};
use crate::store::playlist_lifecycles::{self, Lifecycle};
use crate::store::{StoreError, Tx, event_ids};
use rolekeeper_domain::dedup_window::Partition;
use rolekeeper_domain::event::EventKind;
use rolekeeper_domain::ids::UserId;

/// The changes of a batch to the lives of its playlists.
#[derive(Debug, Default)]
pub(super) struct PlaylistLifecycles {
    /// Retracted ids whose plays belong to an earlier life, or came while the playlist was deleted.
    pub(super) past: HashSet<String>,
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
            if !matters(&event.kind) {
                continue;
            }
            let life = now.entry(event.playlist.as_str().to_owned()).or_default();
            follow(life, &event.kind, *stored_ns);
            if let EventKind::Retraction { of } = &event.kind {
                let play = plays.get(of.as_str());
                if play.zip(life.since_ns).is_some_and(|(play, since)| *play < since) {
                    found.past.insert(of.as_str().to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// The lives of the touched playlists, as far as this batch changes them.
pub(super) fn of_batch<'t>(read: &Read, touched: &'t [Touched<'_>]) -> HashMap<&'t str, Lifecycle> {
    let before = |one: &Touched<'_>| Lifecycle {
        deleted: one.before.deleted,
        owner: one.before.owner.as_ref().map(|owner| owner.as_str().to_owned()),
        ..Lifecycle::default()
    };
    let mut lives: HashMap<&str, Lifecycle> =
        touched.iter().map(|one| (one.id.as_ref(), before(one))).collect();
    for (event, stored_ns) in read.events.iter().zip(&read.stored_ns) {
        if matches!(event.kind, EventKind::Saved { .. } | EventKind::Deleted { .. })
            && let Some(life) = lives.get_mut(event.playlist.as_str())
        {
            follow(life, &event.kind, *stored_ns);
        }
    }
    lives
}

/// Follows the life of a playlist through an event that the stream stored at `stored_ns`.
fn follow(life: &mut Lifecycle, kind: &EventKind<'_>, stored_ns: i64) {
    match kind {
        EventKind::Deleted { owner } => {
            let by = owner.as_ref().map(UserId::as_str);
            life.deleted |= by.is_none() || by == life.owner.as_deref();
        }
        EventKind::Saved { owner, .. } => {
            life.owner = Some(owner.as_str().to_owned());
            if std::mem::take(&mut life.deleted) {
                life.since_ns = Some(stored_ns);
            }
        }
        EventKind::Play | EventKind::Retraction { .. } | EventKind::Duplicate => return,
    }
    life.changed_ns = life.changed_ns.max(Some(stored_ns));
}
