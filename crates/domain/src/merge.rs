//! What other clients meant by their writes, where one of ours may have undone it.
//!
//! `app_metadata.roles` is one value that the last writer replaces whole; Auth0 has no conditional write. A
//! write of another client between our read and our write is lost by ours, and a write of theirs after ours may
//! rest on what they read before it. This module puts all known writes in the tenant's own order and works out
//! how the roles would stand had ours touched nothing but the owned roles.
//!
//! Owns that reckoning. Must never count on a write that no record told of: where what is seen is not the
//! outcome of the writes known, it says so and nothing else.

mod lists;
mod owned;
mod window;

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use lists::{Split, follows, mended, moved, stepped};
pub use window::Window;

/// Longest time that another client is taken to need between its read and the write that rests on it. The
/// official clients wait at most a minute before they repeat a write that was limited.
pub const STALE_AFTER: Duration = Duration::minutes(1);
/// How far back writes are reckoned with beside those of an unsettled race: far enough for a write that rests
/// on something older than a race which was settled meanwhile.
const LOOK_BACK: Duration = Duration::minutes(10);
/// Roles that are compared in one reckoning at most: some tens of milliseconds. Beyond it nothing is explained, as if a record
/// were missing.
const MOST_COMPARED: usize = 4_000_000;

/// The roles of one user at one moment of the tenant's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `updated_at` of the profile.
    pub at: OffsetDateTime,
    /// `app_metadata.roles`; none is as good as an empty list.
    pub roles: Vec<String>,
}

/// A write of ours that is known to have been done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurWrite {
    /// What the profile showed when it was planned.
    pub read: State,
    /// What it made of the profile.
    pub wrote: State,
    /// Roles that it gave or took away because the rules of then managed them. That was no change of an entry of others,
    /// whatever the rules are by now.
    pub managed: Vec<String>,
    /// From when on writes were reckoned with, if it changed entries of others.
    pub mends_since: Option<OffsetDateTime>,
    /// A look has recorded what it made of the owned roles. Not so if it was done when its look had been overtaken.
    pub recorded: bool,
    /// When another client's write may have been lost by it, by Auth0's own answers; none where they do not say, and
    /// then nothing is restored for its sake.
    pub window: Option<Window>,
}

/// One of ours and one of theirs, by their places in [`Known`].
pub type Pair = (usize, usize);

/// All writes to one user's roles that we know of, in any order.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Ours.
    pub ours: &'a [OurWrite],
    /// Those of all other clients.
    pub theirs: &'a [State],
    /// Races that were dealt with before.
    pub settled: &'a BTreeSet<Pair>,
    /// The roles that are ours to change.
    pub owned: &'a [&'a str],
}

/// What the known writes say of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reckoning {
    /// Unsettled races: a write of theirs between our read and our write, also by Auth0's own answers to both.
    pub races: Vec<Pair>,
    /// Told of by a record alone: a write of theirs that Auth0's answers to our own calls do not place between them.
    pub suspected: Vec<Pair>,
    /// From here on the last known write is the newest: the profile has not changed since.
    pub still: bool,
    /// The profile is the outcome of the writes known.
    pub explained: bool,
    /// The whole list as it should stand, owned roles as they are, where a race of ours made a difference.
    pub mended: Option<Vec<String>>,
    /// From when on writes were reckoned with; of use with what was mended.
    pub since: Option<OffsetDateTime>,
    /// Owned roles that came back, or went again, because another client wrote what it had read before we changed
    /// them: nobody gave them or took them away on purpose.
    pub undone: Vec<String>,
    /// Owned roles that are as they are by a write of ours, by its place, of which no look has recorded that.
    pub late: Vec<(String, usize)>,
}

/// Reckons with all known writes what became of the profile `seen`.
#[must_use]
pub fn reckon(known: &Known<'_>, seen: &State) -> Reckoning {
    let known = Clean::of(known, seen);
    let (races, suspected): (Vec<Pair>, Vec<Pair>) = known
        .overlaps()
        .filter(|pair| !known.settled.contains(pair))
        .partition(|pair| known.in_window(*pair));
    let Some(since) = known.since(&races) else {
        return Reckoning::default();
    };
    let versions = known.versions(since, seen);
    if !known.affordable() {
        return Reckoning {
            races,
            suspected,
            since: Some(since),
            ..Reckoning::default()
        };
    }
    let last = versions.last();
    let explained = last.is_some_and(|last| last.roles == seen.roles);
    let mut raced = known.overlaps().filter(|pair| known.in_window(*pair));
    let raced = raced.any(|(ours, _)| known.ours[ours].wrote.at >= since);
    let should = last.filter(|_| explained && raced).map(|last| &last.intended);
    Reckoning {
        still: last.is_some_and(|last| last.at >= seen.at),
        races,
        suspected,
        explained,
        mended: should.and_then(|should| mended(&seen.roles, should, known.owned)),
        since: Some(since),
        undone: if explained {
            owned::undone(known.owned, &versions)
        } else {
            vec![]
        },
        late: if explained {
            owned::late(known.owned, known.ours, &versions)
        } else {
            vec![]
        },
    }
}

/// What was known, without what cannot be as it was told.
struct Clean<'a> {
    ours: &'a [OurWrite],
    /// As they were told.
    told: &'a [State],
    /// None for a record of our own write under another name.
    theirs: Vec<Option<State>>,
    settled: &'a BTreeSet<Pair>,
    owned: &'a [&'a str],
    /// Roles that were compared so far.
    compared: Cell<usize>,
}

/// A state that the profile was in.
struct Version<'a> {
    at: OffsetDateTime,
    roles: &'a [String],
    split: Split<'a>,
    /// The entries of others as they would stand here had our writes touched owned roles only.
    intended: Vec<&'a str>,
    by: By,
}

/// How a version came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// We wrote it, with the write at this place.
    Us(usize),
    /// Another client wrote it, resting on the version at this place; none is known for the first.
    Them(Option<usize>),
    /// No record told of it, or not yet.
    Nobody,
}

/// What is known to have happened at a moment.
enum Happened<'a> {
    /// Another client wrote this.
    Theirs(&'a State),
    /// We wrote.
    Ours(usize),
    /// We read, for this write of ours.
    Read(usize),
}

impl<'a> Clean<'a> {
    fn of(known: &Known<'a>, seen: &State) -> Self {
        let clean = |theirs: &State| {
            // All of them were done before the profile was read; a record without the profile's own time has a
            // date that is some milliseconds late.
            let theirs = State {
                at: theirs.at.min(seen.at),
                roles: theirs.roles.clone(),
            };
            let is_ours = known.ours.iter().any(|ours| ours.wrote == theirs);
            (!is_ours).then_some(theirs)
        };
        Self {
            ours: known.ours,
            told: known.theirs,
            theirs: known.theirs.iter().map(clean).collect(),
            settled: known.settled,
            owned: known.owned,
            compared: Cell::new(0),
        }
    }

    /// All pairs of which theirs came between our read and our write by the times of records and profiles, settled or not. A
    /// write at the very time that our read shows was read by us.
    fn overlaps(&self) -> impl Iterator<Item = Pair> {
        self.ours.iter().enumerate().flat_map(move |(ours, write)| {
            let within = |theirs: &State| write.read.at < theirs.at && theirs.at <= write.wrote.at;
            let theirs = self.theirs.iter().enumerate();
            theirs
                .filter(move |(_, theirs)| theirs.as_ref().is_some_and(within))
                .map(move |(theirs, _)| (ours, theirs))
        })
    }

    /// Whether Auth0's own answers to our calls place theirs between them.
    fn in_window(&self, (ours, theirs): Pair) -> bool {
        let window = self.ours[ours].window;
        window.is_some_and(|window| window.contains(self.told[theirs].at))
    }

    /// From when on writes matter; none if none of ours is known.
    fn since(&self, races: &[Pair]) -> Option<OffsetDateTime> {
        let ours = self.ours.iter().map(|ours| ours.wrote.at).max()?;
        let theirs = self.theirs.iter().flatten().map(|theirs| theirs.at).max();
        let unsettled = races
            .iter()
            .map(|(ours, _)| self.ours[*ours].read.at - STALE_AFTER)
            .min();
        let recent = theirs.map_or(ours, |theirs| theirs.max(ours)) - LOOK_BACK;
        let mut since = unsettled.map_or(recent, |unsettled| unsettled.min(recent));
        // What a mending rests on is reckoned with as long as the mending is.
        while let Some(earlier) = self.mendings_since(since).filter(|earlier| *earlier < since) {
            since = earlier;
        }
        Some(since)
    }

    fn mendings_since(&self, since: OffsetDateTime) -> Option<OffsetDateTime> {
        let reckoned = self.ours.iter().filter(|ours| ours.wrote.at >= since);
        reckoned.filter_map(|ours| ours.mends_since).min()
    }

    /// All that happened since then, in order, and what came of it.
    fn versions<'s>(&'s self, since: OffsetDateTime, seen: &'s State) -> Vec<Version<'s>> {
        let mut versions: Vec<Version<'s>> = Vec::new();
        for (at, happened) in self.happened(since, seen) {
            if !self.affordable() {
                break;
            }
            let last = versions.last();
            match happened {
                Happened::Theirs(theirs) => versions.push(self.theirs_after(&versions, theirs)),
                Happened::Read(ours) => {
                    let roles = &self.ours[ours].read.roles;
                    if last.is_none_or(|last| last.roles != roles) {
                        // Somebody wrote, and no record told of it, or not yet.
                        let split = Split::of(roles, self.owned);
                        let intended = went_on(last, &split, roles);
                        versions.push(Version {
                            at,
                            roles,
                            split,
                            intended,
                            by: By::Nobody,
                        });
                    }
                }
                Happened::Ours(ours) => {
                    // Entries of others that it changed, it changed for what is reckoned with here again, and
                    // perhaps with more of it known.
                    let OurWrite { wrote, managed, .. } = &self.ours[ours];
                    let intended = last.map_or_else(Vec::new, |last| last.intended.clone());
                    let split = Split::of(&wrote.roles, self.owned);
                    let left = managed
                        .iter()
                        .map(String::as_str)
                        .filter(|role| !self.owned.contains(role));
                    let intended = stepped(intended, left, &split);
                    versions.push(Version {
                        at,
                        roles: &wrote.roles,
                        split,
                        intended,
                        by: By::Us(ours),
                    });
                }
            }
        }
        versions
    }

    /// In the tenant's order. Its clock has milliseconds: of two writes in the same one, ours comes last, unless
    /// a read shows theirs.
    fn happened<'s>(&'s self, since: OffsetDateTime, seen: &'s State) -> Vec<(OffsetDateTime, Happened<'s>)> {
        let ours = || self.ours.iter().filter(|ours| ours.wrote.at >= since);
        let theirs = || self.theirs.iter().flatten().filter(|theirs| theirs.at >= since);
        let newest = ours()
            .map(|ours| ours.wrote.at)
            .chain(theirs().map(|theirs| theirs.at))
            .max();
        let is_shown = |theirs: &State| {
            let tied = |ours: &&OurWrite| ours.wrote.at == theirs.at;
            let shown = |read: &State| read.roles == theirs.roles;
            ours().any(|one| one.read.at == theirs.at && shown(&one.read))
                || (newest == Some(theirs.at) && shown(seen))
                    && !ours().filter(tied).any(|one| one.wrote.roles == theirs.roles)
        };
        let mut all: Vec<(OffsetDateTime, u8, Happened<'s>)> = Vec::new();
        for (place, ours) in self
            .ours
            .iter()
            .enumerate()
            .filter(|(_, ours)| ours.wrote.at >= since)
        {
            all.push((ours.read.at, 3, Happened::Read(place)));
            all.push((ours.wrote.at, 1, Happened::Ours(place)));
        }
        for theirs in theirs() {
            let rank = if is_shown(theirs) { 2 } else { 0 };
            all.push((theirs.at, rank, Happened::Theirs(theirs)));
        }
        all.sort_by_key(|(at, rank, _)| (*at, *rank));
        all.into_iter().map(|(at, _, happened)| (at, happened)).collect()
    }

    /// A write of theirs: what it changed, against what it rests on.
    fn theirs_after<'s>(&'s self, versions: &[Version<'s>], theirs: &'s State) -> Version<'s> {
        let split = Split::of(&theirs.roles, self.owned);
        let base = self.base(versions, theirs, &split);
        let intended = went_on(base.map(|base| &versions[base]), &split, &theirs.roles);
        Version {
            at: theirs.at,
            roles: &theirs.roles,
            split,
            intended,
            by: By::Them(base),
        }
    }

    /// Which version a write of theirs rests on. Our writes change owned roles, and others carry these along
    /// unchanged: a version with the owned roles that they wrote is one that they may have read. Of several it is
    /// the one from which theirs is the smallest step, best in its order, and of these the newest. A write that is
    /// no step from any of them changed owned roles on purpose, and rests on what was there.
    fn base(&self, versions: &[Version<'_>], theirs: &State, split: &Split<'_>) -> Option<usize> {
        let newest = versions.len().checked_sub(1)?;
        let stood_until = |place: usize| versions.get(place + 1).map_or(theirs.at, |next| next.at);
        let steps = versions
            .iter()
            .enumerate()
            .filter(|(place, _)| theirs.at - stood_until(*place) <= STALE_AFTER)
            .filter(|(_, version)| version.split.owned == split.owned)
            .map(|(place, version)| {
                self.compared
                    .set(self.compared.get() + version.roles.len() + theirs.roles.len());
                (version.split.steps_to(split), place)
            })
            .filter(|(step, _)| *step > 0);
        let steps: Vec<(usize, usize)> = steps.take_while(|_| self.affordable()).collect();
        let smallest = steps.iter().map(|(step, _)| *step).min();
        let nearest = steps.iter().filter(|(step, _)| Some(*step) == smallest);
        let nearest = nearest.map(|(_, place)| *place).take_while(|_| self.affordable());
        let best = nearest.min_by_key(|place| {
            self.compared
                .set(self.compared.get() + versions[*place].roles.len() + theirs.roles.len());
            (
                !follows(versions[*place].roles, &theirs.roles, split),
                Reverse(*place),
            )
        });
        Some(best.unwrap_or(newest))
    }

    /// Whether there is work left to spend.
    fn affordable(&self) -> bool {
        self.compared.get() <= MOST_COMPARED
    }
}

/// What is intended after `roles`, that split so, followed upon `before`, of which it is the whole difference.
fn went_on<'s>(before: Option<&Version<'s>>, split: &Split<'s>, roles: &'s [String]) -> Vec<&'s str> {
    match before {
        None => moved(&[], &Split::default(), (split, roles)),
        Some(before) => moved(&before.intended, &before.split, (split, roles)),
    }
}

#[cfg(test)]
mod tests;
