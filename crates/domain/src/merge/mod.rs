//! Three-way merge of role writes: what other clients intended where one of our writes may have overwritten theirs.
//!
//! `app_metadata.roles` is one value that each writer replaces whole; Auth0 has no conditional write. Our write
//! overwrites a write of another client that falls between our read and our write. A write of another client after ours
//! may be based on a read before ours. This module orders all known writes by the tenant's clock and derives the roles
//! as if our writes had touched only managed roles.
//!
//! Owns this resolution. Must never assume a write without a record: where the profile is not the result of the known
//! writes, it reports only that.

mod lists;
mod owned;
mod version;
mod window;

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use lists::{Split, follows, moved, restored, stepped};
use version::{By, Version};
pub use version::{OurWrite, State};
pub use window::Window;

/// Longest time assumed between another client's read and the write based on it. The official clients wait at most a
/// minute before they repeat a write that was rate limited.
pub const STALE_AFTER: Duration = Duration::minutes(1);
/// How far back writes are included beside those of an unsettled race. It is long enough for a write based on a state
/// before a race that was settled meanwhile.
const LOOKBACK: Duration = Duration::minutes(10);
/// Maximum number of roles compared in one resolution, which takes some tens of milliseconds. Beyond it nothing is
/// explained, as if a record were missing.
const MOST_COMPARED: usize = 4_000_000;

/// Indexes in [`Known`] of one write of ours and one write of another client.
pub type Pair = (usize, usize);

/// All known writes to one user's roles, in any order.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Our writes.
    pub ours: &'a [OurWrite],
    /// Writes of all other clients.
    pub theirs: &'a [State],
    /// Races that were settled before.
    pub settled: &'a BTreeSet<Pair>,
    /// The managed roles.
    pub owned: &'a [&'a str],
}

/// Result of comparing the known writes with a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Unsettled races: a write of another client lies between our read and our write, also by Auth0's own responses to
    /// both.
    pub races: Vec<Pair>,
    /// Races by records alone: Auth0's responses to our calls do not place the other client's write between them.
    pub suspected: Vec<Pair>,
    /// The profile has not changed since the last known write.
    pub still: bool,
    /// The profile is the result of the known writes.
    pub consistent: bool,
    /// The whole list as it should be, with managed roles unchanged, where a race with our write made a difference.
    pub restored_roles: Option<Vec<String>>,
    /// Start of the writes considered; to be stored with a restoring write.
    pub since: Option<OffsetDateTime>,
    /// Managed roles that another client reverted by a write based on a read before our change. The other client did
    /// not change them on purpose.
    pub reverted: Vec<String>,
    /// Managed roles set by a write of ours, with its index, that no attempt has recorded.
    pub late: Vec<(String, usize)>,
}

/// Resolves how the profile `seen` came about from all known writes.
#[must_use]
pub fn resolve(known: &Known<'_>, seen: &State) -> Resolution {
    let known = Sanitized::of(known, seen);
    let (races, suspected): (Vec<Pair>, Vec<Pair>) = known
        .overlaps()
        .filter(|pair| !known.settled.contains(pair))
        .partition(|pair| known.in_window(*pair));
    let Some(since) = known.since(&races) else {
        return Resolution::default();
    };
    let versions = known.versions(since, seen);
    if !known.affordable() {
        return Resolution {
            races,
            suspected,
            since: Some(since),
            ..Resolution::default()
        };
    }
    let last = versions.last();
    let consistent = last.is_some_and(|last| last.roles == seen.roles);
    let mut raced = known.overlaps().filter(|pair| known.in_window(*pair));
    let raced = raced.any(|(ours, _)| known.ours[ours].wrote.at >= since);
    let should = last.filter(|_| consistent && raced).map(|last| &last.intended);
    Resolution {
        still: last.is_some_and(|last| last.at >= seen.at),
        races,
        suspected,
        consistent,
        restored_roles: should.and_then(|should| restored(&seen.roles, should, known.owned)),
        since: Some(since),
        reverted: if consistent {
            owned::reverted(known.owned, &versions)
        } else {
            vec![]
        },
        late: if consistent {
            owned::late(known.owned, known.ours, &versions)
        } else {
            vec![]
        },
    }
}

/// The known writes, corrected where a record cannot be right.
struct Sanitized<'a> {
    ours: &'a [OurWrite],
    /// Writes of other clients as recorded.
    told: &'a [State],
    /// Corrected writes of other clients; `None` for a record that is a write of ours.
    theirs: Vec<Option<State>>,
    settled: &'a BTreeSet<Pair>,
    owned: &'a [&'a str],
    /// Roles compared so far.
    compared: Cell<usize>,
}

/// A known event at one time.
enum Happened<'a> {
    /// Another client wrote this state.
    Theirs(&'a State),
    /// We sent the write with this index.
    Ours(usize),
    /// We read the profile for the write with this index.
    Read(usize),
}

impl<'a> Sanitized<'a> {
    fn of(known: &Known<'a>, seen: &State) -> Self {
        let clean = |theirs: &State| {
            // All of these writes precede the read of the profile. A record that lacks the profile's own time has a
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

    /// All pairs, settled or not, in which the other client's write lies between our read and our write by the times of
    /// records and profiles. Our read saw a write with the same time.
    fn overlaps(&self) -> impl Iterator<Item = Pair> {
        self.ours.iter().enumerate().flat_map(move |(ours, write)| {
            let within = |theirs: &State| write.read.at < theirs.at && theirs.at <= write.wrote.at;
            let theirs = self.theirs.iter().enumerate();
            theirs
                .filter(move |(_, theirs)| theirs.as_ref().is_some_and(within))
                .map(move |(theirs, _)| (ours, theirs))
        })
    }

    /// Whether Auth0's own responses to our calls place the other client's write between them.
    fn in_window(&self, (ours, theirs): Pair) -> bool {
        let window = self.ours[ours].window;
        window.is_some_and(|window| window.contains(self.told[theirs].at))
    }

    /// Start of the writes to consider; `None` if no write of ours is known.
    fn since(&self, races: &[Pair]) -> Option<OffsetDateTime> {
        let ours = self.ours.iter().map(|ours| ours.wrote.at).max()?;
        let theirs = self.theirs.iter().flatten().map(|theirs| theirs.at).max();
        let unsettled = races
            .iter()
            .map(|(ours, _)| self.ours[*ours].read.at - STALE_AFTER)
            .min();
        let recent = theirs.map_or(ours, |theirs| theirs.max(ours)) - LOOKBACK;
        let mut since = unsettled.map_or(recent, |unsettled| unsettled.min(recent));
        // The writes that a restoring write was based on count as long as that write does.
        while let Some(earlier) = self.restored_since(since).filter(|earlier| *earlier < since) {
            since = earlier;
        }
        Some(since)
    }

    fn restored_since(&self, since: OffsetDateTime) -> Option<OffsetDateTime> {
        let resolved = self.ours.iter().filter(|ours| ours.wrote.at >= since);
        resolved.filter_map(|ours| ours.resolved_since).min()
    }

    /// All versions from `since` on, in order, each with what it was based on.
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
                        // Another client wrote, and no record of it has arrived.
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
                    // Entries of other clients that our write changed are derived here again, perhaps with more known
                    // writes.
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

    /// All events in the tenant's order. Its clock has milliseconds: of two writes in the same millisecond ours is
    /// last, unless a read shows the other.
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

    /// The version after another client's write: its change relative to the version it was based on.
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

    /// Index of the version that another client's write was based on. Other clients carry managed roles along
    /// unchanged, so a version with the same managed roles is one that they may have read. Of several candidates the
    /// one with the smallest difference wins, then one whose order fits, then the newest. A write that differs from
    /// none of them changed managed roles on purpose and was based on the newest version.
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

    /// Whether the limit of compared roles is not reached yet.
    fn affordable(&self) -> bool {
        self.compared.get() <= MOST_COMPARED
    }
}

/// The intended entries after `roles` (split as `split`) followed `before`.
fn went_on<'s>(before: Option<&Version<'s>>, split: &Split<'s>, roles: &'s [String]) -> Vec<&'s str> {
    match before {
        None => moved(&[], &Split::default(), (split, roles)),
        Some(before) => moved(&before.intended, &before.split, (split, roles)),
    }
}

#[cfg(test)]
mod tests;
