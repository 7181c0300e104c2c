//! What other clients meant by their writes, where one of ours may have undone it.
//!
//! `app_metadata.roles` is one value that the last writer replaces whole; Auth0 has no conditional write. A
//! write of another client between our read and our write is lost by ours, and a write of theirs after ours may
//! rest on what they read before it. This module puts all known writes in the tenant's own order and works out
//! how the roles would stand had ours touched nothing but the owned roles.
//!
//! Owns that reckoning. Must never count on a write that no record told of: where what is seen is not the
//! outcome of the writes known, it says so and nothing else.

mod owned;
mod window;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

pub use window::Window;

/// Longest time that another client is taken to need between its read and the write that rests on it. The
/// official clients wait at most a minute before they repeat a write that was limited.
pub const STALE_AFTER: Duration = Duration::minutes(1);
/// How far back writes are reckoned with beside those of an unsettled race: far enough for a write that rests
/// on something older than a race which was settled meanwhile.
const LOOK_BACK: Duration = Duration::minutes(10);

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

/// `now` with the entries of others as they were intended: what they took away goes, what they added comes
/// back. None if that changes nothing. What comes back stands first: others append, so what they write next shows
/// whether they had read it.
fn mended(now: &[String], intended: &[String], owned: &[&str]) -> Option<Vec<String>> {
    let stays = |role: &&String| owned.contains(&role.as_str()) || intended.contains(role);
    let missing = intended.iter().filter(|role| !now.contains(role));
    let after: Vec<String> = missing.chain(now.iter().filter(stays)).cloned().collect();
    (after != now).then_some(after)
}

/// Whether `after` is `before` with entries taken out and others appended, which is how most clients write.
fn follows(before: &[String], after: &[String]) -> bool {
    let kept: Vec<&String> = before.iter().filter(|role| after.contains(role)).collect();
    kept.len() <= after.len() && kept.iter().zip(after).all(|(kept, role)| *kept == role)
}

/// What was known, without what cannot be as it was told.
struct Clean<'a> {
    ours: &'a [OurWrite],
    /// None for a record of our own write under another name.
    theirs: Vec<Option<State>>,
    settled: &'a BTreeSet<Pair>,
    owned: &'a [&'a str],
}

/// A state that the profile was in.
struct Version<'a> {
    at: OffsetDateTime,
    roles: &'a [String],
    /// The entries of others as they would stand here had our writes touched owned roles only.
    intended: Vec<String>,
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
            theirs: known.theirs.iter().map(clean).collect(),
            settled: known.settled,
            owned: known.owned,
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
        let theirs = self.theirs[theirs].as_ref();
        theirs.is_some_and(|theirs| window.is_some_and(|window| window.contains(theirs.at)))
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
            let last = versions.last();
            match happened {
                Happened::Theirs(theirs) => versions.push(self.theirs_after(&versions, theirs)),
                Happened::Read(ours) => {
                    let roles = &self.ours[ours].read.roles;
                    if last.is_none_or(|last| last.roles != roles) {
                        // Somebody wrote, and no record told of it, or not yet.
                        let intended = self.went_on(last, roles);
                        versions.push(Version {
                            at,
                            roles,
                            intended,
                            by: By::Nobody,
                        });
                    }
                }
                Happened::Ours(ours) => {
                    // Entries of others that it changed, it changed for what is reckoned with here again, and
                    // perhaps with more of it known.
                    let intended = last.map_or_else(Vec::new, |last| last.intended.clone());
                    let roles = &self.ours[ours].wrote.roles;
                    versions.push(Version {
                        at,
                        roles,
                        intended,
                        by: By::Us(ours),
                    });
                }
            }
        }
        versions
    }

    /// What is intended after `roles` followed upon `before`, of which it is the whole difference.
    fn went_on(&self, before: Option<&Version<'_>>, roles: &[String]) -> Vec<String> {
        before.map_or_else(
            || self.moved(&[], &[], roles),
            |before| self.moved(&before.intended, before.roles, roles),
        )
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
    fn theirs_after<'s>(&self, versions: &[Version<'s>], theirs: &'s State) -> Version<'s> {
        let base = self.base(versions, theirs);
        let intended = self.went_on(base.map(|base| &versions[base]), &theirs.roles);
        Version {
            at: theirs.at,
            roles: &theirs.roles,
            intended,
            by: By::Them(base),
        }
    }

    /// Which version a write of theirs rests on. Our writes change owned roles, and others carry these along
    /// unchanged: a version with the owned roles that they wrote is one that they may have read. Of several it is
    /// the one from which theirs is the smallest step, best in its order, and of these the newest. A write that is
    /// no step from any of them changed owned roles on purpose, and rests on what was there.
    fn base(&self, versions: &[Version<'_>], theirs: &State) -> Option<usize> {
        let newest = versions.len().checked_sub(1)?;
        let stood_until = |place: usize| versions.get(place + 1).map_or(theirs.at, |next| next.at);
        let step = |version: &Version<'_>| {
            let before: BTreeSet<&String> = self.foreign_in(version.roles).collect();
            let after: BTreeSet<&String> = self.foreign_in(&theirs.roles).collect();
            before.symmetric_difference(&after).count()
        };
        let smallest = versions
            .iter()
            .enumerate()
            .filter(|(place, _)| theirs.at - stood_until(*place) <= STALE_AFTER)
            .filter(|(_, version)| self.owned_in(version.roles) == self.owned_in(&theirs.roles))
            .map(|(place, version)| {
                (
                    step(version),
                    !follows(version.roles, &theirs.roles),
                    Reverse(place),
                )
            })
            .filter(|(step, ..)| *step > 0)
            .min();
        Some(smallest.map_or(newest, |(.., Reverse(place))| place))
    }

    /// Entries of others: `entries` after the step from `before` to `after`.
    fn moved(&self, entries: &[String], before: &[String], after: &[String]) -> Vec<String> {
        let gone = |role: &String| before.contains(role) && !after.contains(role);
        let mut moved: Vec<String> = entries.iter().filter(|role| !gone(role)).cloned().collect();
        for role in self.foreign_in(after) {
            if !before.contains(role) && !moved.contains(role) {
                moved.push(role.clone());
            }
        }
        moved
    }

    fn owned_in<'s>(&self, roles: &'s [String]) -> BTreeSet<&'s String> {
        roles
            .iter()
            .filter(|role| self.owned.contains(&role.as_str()))
            .collect()
    }

    fn foreign_in<'s>(&self, roles: &'s [String]) -> impl Iterator<Item = &'s String> {
        roles.iter().filter(|role| !self.owned.contains(&role.as_str()))
    }
}

#[cfg(test)]
mod tests;
