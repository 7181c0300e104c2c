//! Sums a batch of events into changes of the playlists' counts and lifecycle.
//!
//! Owns the rules of a playlist's state, in [`apply`] alone. A store that adds an increment by itself must respect the
//! conditions at [`Tally::adds`]. Must never decide whether an event is a duplicate: the cursor and the table of
//! retractions do.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use super::event::{Event, EventKind};
use super::ids::{Token, UserId};

mod order;
#[cfg(test)]
mod tests;

/// State of one playlist; an unknown playlist is [`Playlist::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playlist {
    /// Plays minus retractions; below 0 while a retraction waits for its play. See [`Playlist::shown`].
    pub plays: i64,
    /// A deleted playlist takes no plays until it is saved again.
    pub deleted: bool,
    /// The owner, once the playlist was saved. Stays after a deletion.
    pub owner: Option<UserId<'static>>,
    /// The name, once the playlist was saved. Stays after a deletion.
    pub name: Option<String>,
}

impl Playlist {
    /// The public count, never below 0.
    #[must_use]
    pub fn shown(&self) -> i64 {
        self.plays.max(0)
    }

    /// The playlist's part of the plays of all playlists of `owner`; 0 if it has another owner or is deleted.
    #[must_use]
    pub fn share_of(&self, user: &str) -> i64 {
        let theirs = self.owner.as_ref().is_some_and(|owner| owner.as_str() == user);
        if theirs { self.share_of_owner() } else { 0 }
    }

    /// The playlist's part of the plays of all playlists of its owner; 0 without an owner, or if it is deleted.
    #[must_use]
    pub fn share_of_owner(&self) -> i64 {
        let counts = !self.deleted && self.owner.is_some();
        if counts { self.shown() } else { 0 }
    }

    fn is_of(&self, user: &UserId<'_>) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|owner| owner.as_str() == user.as_str())
    }

    /// Takes one event, as a batch of it alone would. A retraction that repeats another one must be voided before.
    pub fn follow(&mut self, kind: &EventKind<'_>) {
        if let Some(step) = Step::of(kind) {
            self.take(&step);
        }
    }

    /// Takes one change.
    pub fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Add(delta) if !self.deleted => self.plays += delta,
            Step::Add(_) => {}
            // A deleted playlist has no plays, so a playlist that is saved again starts at 0.
            Step::Save { owner, name } => {
                self.deleted = false;
                self.owner = Some(owner.clone().into_owned());
                self.name = Some(name.to_owned());
            }
            Step::Delete { owner } => {
                if owner.is_none_or(|owner| self.is_of(owner)) {
                    self.deleted = true;
                    self.plays = 0;
                }
            }
        }
    }
}

/// One change of one playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'e> {
    /// Plays minus retractions; no effect on a deleted playlist.
    Add(i64),
    /// The playlist exists, with this owner and name.
    Save {
        /// The new owner.
        owner: &'e UserId<'e>,
        /// The new name.
        name: &'e str,
    },
    /// The playlist is deleted and loses its plays.
    Delete {
        /// Deletes only a playlist of this user; without a user, a playlist of any owner.
        owner: Option<&'e UserId<'e>>,
    },
}

impl<'e> Step<'e> {
    /// The change that an event makes to its playlist, if any.
    #[must_use]
    pub fn of(kind: &'e EventKind<'_>) -> Option<Self> {
        match kind {
            EventKind::Play => Some(Self::Add(1)),
            EventKind::Retraction { .. } => Some(Self::Add(-1)),
            EventKind::Saved { owner, name } => Some(Self::Save { owner, name }),
            EventKind::Deleted { owner } => Some(Self::Delete {
                owner: owner.as_ref(),
            }),
            EventKind::Duplicate => None,
        }
    }
}

/// The changes of a batch. Each playlist is in one of the two lists. Both are in order of playlist id, so that two
/// transactions lock rows in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally<'e> {
    /// Playlists with plays and retractions only, and the change of their count. Never 0: plays that were all retracted
    /// change nothing, and an unknown playlist needs no row for them. The store adds the change unless the playlist is
    /// deleted; an unknown playlist starts at 0 plays.
    pub increments: Vec<(&'e str, i64)>,
    /// Playlists that were saved or deleted, with all steps in order; adjacent increments are summed.
    pub lifecycle_steps: Vec<(&'e str, Vec<Step<'e>>)>,
}

/// The last event of a batch that moved a count into another band between thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Index of the event in the batch.
    pub index: usize,
    /// Plays shown after the event.
    pub plays: i64,
    /// Number of band changes up to this event; more than one means the count oscillates around a threshold.
    pub times: usize,
}

/// The ids of the retracted plays, each once, in order of appearance. The store reports which of them are new.
#[must_use]
pub fn retracted<'e>(events: &'e [Event<'_>]) -> Vec<&'e Token<'e>> {
    let mut seen = HashSet::new();
    let of = events.iter().filter_map(|event| match &event.kind {
        EventKind::Retraction { of } => Some(of),
        _ => None,
    });
    of.filter(|of| seen.insert(of.as_str())).collect()
}

/// Keeps the first retraction of each `fresh` id and turns all other retractions into [`EventKind::Duplicate`].
pub fn void_duplicates(events: &mut [Event<'_>], fresh: &HashSet<String, impl BuildHasher>) {
    let mut awaited: HashSet<&str> = fresh.iter().map(String::as_str).collect();
    for event in events {
        if let EventKind::Retraction { of } = &event.kind
            && !awaited.remove(of.as_str())
        {
            event.kind = EventKind::Duplicate;
        }
    }
}

/// Sums up a batch whose duplicate retractions are voided.
#[must_use]
pub fn tally<'e>(events: &'e [Event<'_>]) -> Tally<'e> {
    let mut tally = Tally::default();
    for of_one in order::by_playlist(events).chunk_by(order::same_playlist) {
        let [(_, first), ..] = of_one else { continue };
        let playlist = first.playlist.as_str();
        let steps = || of_one.iter().filter_map(|(_, event)| Step::of(&event.kind));
        let only_adds = steps().try_fold(0, |sum, step| match step {
            Step::Add(delta) => Some(sum + delta),
            Step::Save { .. } | Step::Delete { .. } => None,
        });
        match only_adds {
            Some(0) => {}
            Some(sum) => tally.increments.push((playlist, sum)),
            None => tally
                .lifecycle_steps
                .push((playlist, with_neighbours_added(steps()))),
        }
    }
    tally
}

fn with_neighbours_added<'e>(steps: impl Iterator<Item = Step<'e>>) -> Vec<Step<'e>> {
    let mut merged: Vec<Step<'_>> = Vec::new();
    for step in steps {
        match (merged.last_mut(), step) {
            (Some(Step::Add(sum)), Step::Add(delta)) => *sum += delta,
            _ => merged.push(step),
        }
    }
    merged
}

/// The playlist after `steps`.
#[must_use]
pub fn apply(before: Playlist, steps: &[Step<'_>]) -> Playlist {
    let mut playlist = before;
    for step in steps {
        playlist.take(step);
    }
    playlist
}

/// The last event at which the band of `playlist` changed. `None` if the final band equals the band `before`:
/// a count that came back has not crossed.
pub fn last_crossing(
    events: &[Event<'_>],
    playlist: &str,
    before: &Playlist,
    band: impl Fn(&Playlist) -> u8,
) -> Option<Crossing> {
    let band_before = band(before);
    let mut now = before.clone();
    let mut band_now = band_before;
    let (mut times, mut last) = (0, None);
    for (index, event) in events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.playlist.as_str() == playlist)
    {
        let Some(step) = Step::of(&event.kind) else {
            continue;
        };
        now.take(&step);
        let band_after = band(&now);
        if band_after != band_now {
            band_now = band_after;
            times += 1;
            last = Some(Crossing {
                index,
                plays: now.shown(),
                times,
            });
        }
    }
    last.filter(|_| band_now != band_before)
}

/// The last event at which the band of the sum over all playlists of the `owners`, ids of one person, changed. `None` if the final band
/// is that of `total_before`. `before` holds every playlist that the batch names.
pub fn last_total_crossing(
    events: &[Event<'_>],
    owners: &[&str],
    before: &HashMap<&str, &Playlist, impl BuildHasher>,
    total_before: i64,
    band: impl Fn(i64) -> u8,
) -> Option<Crossing> {
    let mut now: HashMap<&str, Playlist> = HashMap::new();
    let (mut total, mut times, mut last) = (total_before, 0, None);
    for (index, event) in events.iter().enumerate() {
        let id = event.playlist.as_str();
        let (Some(step), Some(known)) = (Step::of(&event.kind), before.get(id)) else {
            continue;
        };
        let playlist = now.entry(id).or_insert_with(|| (*known).clone());
        let share = |playlist: &Playlist| owners.iter().map(|owner| playlist.share_of(owner)).sum::<i64>();
        let band_before = band(total);
        total -= share(playlist);
        playlist.take(&step);
        total += share(playlist);
        if band(total) != band_before {
            times += 1;
            last = Some(Crossing {
                index,
                plays: total,
                times,
            });
        }
    }
    last.filter(|_| band(total) != band(total_before))
}
