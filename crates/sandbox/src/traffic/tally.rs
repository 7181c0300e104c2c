//! The reference count: the expected result of the sent events.
//!
//! Owns counts, crossings and holders as the contract defines them, one event at a time. It shares no code with the worker
//! and is slow on purpose: the reference must be simple.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::THRESHOLD;
use super::event::{Event, What};

/// A user who crossed the threshold, up or down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Auth0 user id.
    pub user: String,
    /// True when the user gets the role, false when the user loses it.
    pub up: bool,
    /// Id of the event that caused it.
    pub event: String,
    /// Its sequence in the stream.
    pub seq: u64,
}

/// The count so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Plays of each playlist, without retracted ones.
    pub playlists: BTreeMap<String, i64>,
    /// The crossings, in order.
    pub crossings: Vec<Crossing>,
    /// Users who should hold the role now.
    pub holders: BTreeSet<String>,
    /// Published plays, without duplicates.
    pub plays: u64,
    /// Retracted plays, without duplicates.
    pub taken_back: u64,
    /// Messages sent again under the same id.
    pub duplicates: u64,
    /// Sequences of invalid messages.
    pub broken: BTreeSet<u64>,
    /// Highest sequence in the stream.
    pub last_seq: u64,
    owners: BTreeMap<String, String>,
    seen: HashSet<String>,
    retracted: HashSet<String>,
}

impl Tally {
    /// Counts an event that the stream has stored at `seq`.
    pub fn take(&mut self, event: &Event, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
        if !self.seen.insert(event.id.clone()) {
            self.duplicates += 1;
            return;
        }
        let plays = self.playlists.entry(event.playlist.clone()).or_default();
        match &event.what {
            What::Saved { owner } => {
                self.owners.insert(event.playlist.clone(), owner.clone());
            }
            What::Play => {
                *plays += 1;
                self.plays += 1;
            }
            What::Retraction { of } => {
                if self.retracted.insert(of.clone()) {
                    *plays -= 1;
                    self.taken_back += 1;
                }
            }
            What::Broken => {
                self.broken.insert(seq);
            }
        }
        self.compare(event, seq);
    }

    /// Returns the plays of the user's best playlist.
    #[must_use]
    pub fn best(&self, user: &str) -> i64 {
        let owned = self.owners.iter().filter(|(_, owner)| *owner == user);
        owned
            .filter_map(|(playlist, _)| self.playlists.get(playlist).copied())
            .max()
            .unwrap_or(0)
    }

    /// Notes a crossing, if the event made its playlist's owner cross the threshold.
    fn compare(&mut self, event: &Event, seq: u64) {
        let Some(user) = self.owners.get(&event.playlist).cloned() else {
            return;
        };
        let up = self.best(&user) >= THRESHOLD;
        if up == self.holders.contains(&user) {
            return;
        }
        if up {
            self.holders.insert(user.clone());
        } else {
            self.holders.remove(&user);
        }
        self.crossings.push(Crossing {
            user,
            up,
            event: event.id.clone(),
            seq,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::cast::Cast;
    use crate::traffic::script::Script;

    #[test]
    fn the_script_comes_to_what_the_cast_promises() {
        for seed in 0..5 {
            let cast = Cast::new(seed);
            let mut script = Script::new(&cast, seed, time::OffsetDateTime::UNIX_EPOCH);
            let mut tally = Tally::default();
            let mut seq = 0;
            for event in script.events() {
                seq += 1;
                tally.take(event, seq);
            }
            let (above, exactly) = cast.crossing();
            let before = tally.holders.len();
            assert_eq!(before, above.len() + exactly.len(), "seed {seed}");
            assert_eq!(
                (tally.plays, tally.taken_back, tally.broken.len()),
                (20_000, 0, 6)
            );
            for event in script.take_back(&cast) {
                seq += 1;
                tally.take(&event, seq);
            }
            let lost = tally.crossings.iter().filter(|crossing| !crossing.up).count();
            assert_eq!((lost, tally.holders.len()), (12, before - 12), "seed {seed}");
            for playlist in cast.one_short() {
                let owner = &cast.users[playlist.owner].id;
                assert!(!tally.holders.contains(owner));
            }
        }
    }
}
