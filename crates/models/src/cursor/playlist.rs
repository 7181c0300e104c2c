//! The playlist of the model's events: its row, and the plays that were retracted.
//!
//! Owns the conditions under which a row changes, as the statements of `src/store/playlists.rs` have them. Must never sum events: the
//! domain does.

use std::collections::{BTreeSet, HashSet};

use rolekeeper_domain::event::Event;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::tally::{self, Playlist};

use super::events::{Events, Kind};

/// The rows of one playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Plays minus retractions.
    plays: i64,
    /// It was deleted.
    deleted: bool,
    /// It has an owner.
    saved: Option<String>,
    /// Ids of the retracted plays.
    retracted: BTreeSet<String>,
}

impl Kept {
    /// Stores what a batch changes.
    pub fn take(&mut self, mut events: Vec<Event<'static>>) {
        let retracted = tally::retracted(&events).into_iter();
        let retracted = retracted.map(|of| of.as_str().to_owned());
        let fresh: HashSet<String> = retracted.filter(|of| self.retracted.insert(of.clone())).collect();
        tally::void_duplicates(&mut events, &fresh);
        let tally = tally::tally(&events);
        for (_, plays) in tally.increments {
            if !self.deleted {
                self.plays += plays;
            }
        }
        for (_, steps) in tally.lifecycle_steps {
            self.store(tally::apply(self.playlist(), &steps));
        }
    }

    /// The row as the domain takes it.
    fn playlist(&self) -> Playlist {
        Playlist {
            plays: self.plays,
            deleted: self.deleted,
            owner: self.saved.clone().and_then(|owner| UserId::parse(owner).ok()),
            name: self.saved.as_ref().map(|_| "mix".to_owned()),
        }
    }

    fn store(&mut self, playlist: Playlist) {
        self.plays = playlist.plays;
        self.deleted = playlist.deleted;
        self.saved = playlist.owner.map(|owner| owner.as_str().to_owned());
    }
}

/// Whether the row is what these events make of the playlist, one after the other: `counted` has how often each has had its effect.
#[must_use]
pub fn is_the_sum(kept: &Kept, events: &Events, counted: &[i8]) -> bool {
    let (mut plays, mut deleted, mut saved) = (0, false, false);
    let mut retracted = BTreeSet::new();
    for (kind, _) in events
        .kinds()
        .iter()
        .zip(counted)
        .filter(|(_, counted)| **counted > 0)
    {
        match kind {
            Kind::Play if !deleted => plays += 1,
            Kind::Retraction(of) if retracted.insert(of) && !deleted => plays -= 1,
            Kind::Saved => (deleted, saved) = (false, true),
            Kind::Deleted => (deleted, plays) = (true, 0),
            _ => {}
        }
    }
    (kept.plays, kept.deleted, kept.saved.is_some()) == (plays, deleted, saved)
}
