//! The known writes to one user's roles, ours and those of other clients, as the resolution takes them.
//!
//! Owns which writes still matter, which records a restore rests on, and which record causes a role to be restored.
//! Must never query a table or Auth0.

mod judge;
mod known;
pub mod take_over;

use std::collections::BTreeSet;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::merge::{Known, OurWrite, Pair, Resolution, State, resolve};
pub use judge::{Judged, Next};
pub use known::{KnownRaces, Race, Restored, Theirs};

/// All writes to one user's roles that may matter; those of other clients are limited to `theirs`.
#[derive(Debug)]
pub struct History {
    /// Ids of our writes.
    pub writes: Vec<Uuid>,
    ours: Vec<OurWrite>,
    /// The writes of other clients.
    pub theirs: Vec<Theirs>,
    states: Vec<State>,
    settled: BTreeSet<Pair>,
}

impl History {
    /// The history of the profile that was created at `created_at`. Drops writes from before: they belong to
    /// another account with the same id.
    #[must_use]
    pub fn new(
        ours: &[(Uuid, OurWrite)],
        theirs: Vec<Theirs>,
        known: &KnownRaces,
        created_at: Option<OffsetDateTime>,
    ) -> Self {
        let of_this_account = |at: OffsetDateTime| created_at.is_none_or(|created_at| at >= created_at);
        let after = |at: OffsetDateTime| known.given_up_at.is_none_or(|given_up| at > given_up);
        let theirs: Vec<Theirs> = theirs
            .into_iter()
            .filter(|theirs| after(theirs.state.at) && of_this_account(theirs.state.at))
            .collect();
        let states = theirs.iter().map(|theirs| theirs.state.clone()).collect();
        let ours = ours
            .iter()
            .filter(|(_, ours)| after(ours.wrote.at) && of_this_account(ours.read.at))
            .cloned();
        let (writes, ours): (Vec<_>, Vec<OurWrite>) = ours.unzip();
        let settled = pairs(&writes, &theirs).filter(|(ours, of)| {
            known
                .settled
                .contains(&(writes[*ours], theirs[*of].record.clone()))
        });
        Self {
            settled: settled.collect(),
            writes,
            ours,
            theirs,
            states,
        }
    }

    /// How the profile `now` came about.
    #[must_use]
    pub fn resolve(&self, owned: &[&str], now: &State) -> Resolution {
        let known = Known {
            ours: &self.ours,
            theirs: &self.states,
            settled: &self.settled,
            owned,
        };
        resolve(&known, now)
    }

    /// The newest race that was settled.
    fn settled_last(&self) -> Option<Pair> {
        let settled = self.settled.iter();
        settled
            .max_by_key(|(write, _)| self.ours[*write].wrote.at)
            .copied()
    }

    /// Records that must be confirmed before a role is restored: first the records of the races, and once these are
    /// confirmed, all records on which the resolution rests.
    fn unconfirmed(&self, resolution: &Resolution, racing: &[Pair]) -> Vec<&str> {
        let open = |theirs: &&Theirs| !theirs.confirmed;
        let racing = racing.iter().map(|(_, theirs)| &self.theirs[*theirs]);
        let first: BTreeSet<&str> = racing.filter(open).map(|theirs| theirs.record.as_str()).collect();
        if !first.is_empty() {
            return first.into_iter().collect();
        }
        self.open_since(resolution.since)
    }

    /// Whether a change of another client may have been lost: neither our read nor the profile has the entries of other
    /// clients as their write left them. Roles that our writes changed as managed ones are excluded, also when the
    /// rules no longer manage them.
    #[must_use]
    pub fn lost(&self, (ours, theirs): Pair, owned: &[&str], now: &State) -> bool {
        let foreign = |roles: &[String]| -> BTreeSet<String> {
            let managed = |role: &String| self.ours.iter().any(|ours| ours.managed.contains(role));
            let foreign = roles
                .iter()
                .filter(|role| !owned.contains(&role.as_str()) && !managed(role));
            foreign.cloned().collect()
        };
        let left = foreign(&self.theirs[theirs].state.roles);
        left != foreign(&now.roles) && left != foreign(&self.ours[ours].read.roles)
    }

    /// Unconfirmed records on which the resolution rests.
    fn open_since(&self, since: Option<OffsetDateTime>) -> Vec<&str> {
        let known = self.theirs.iter().filter(|theirs| !theirs.confirmed);
        let since = known.filter(|theirs| since.is_none_or(|since| theirs.state.at >= since));
        since.map(|theirs| theirs.record.as_str()).collect()
    }

    /// Unconfirmed records of races in which a change may have been lost.
    fn doubtful(&self, racing: &[Pair], owned: &[&str], now: &State) -> Vec<&str> {
        let doubtful = racing.iter().filter(|pair| self.lost(**pair, owned, now));
        let theirs = doubtful.map(|(_, theirs)| &self.theirs[*theirs]);
        let open = theirs.filter(|theirs| !theirs.confirmed);
        open.map(|theirs| theirs.record.as_str()).collect()
    }

    /// The changes that a restore to `restored_roles` makes to the profile's roles `now`, each with the newest race that causes
    /// it.
    #[must_use]
    pub fn restored(&self, racing: &[Pair], now: &[String], restored_roles: &[String]) -> Vec<Restored> {
        let mut causes: Vec<&Theirs> = racing.iter().map(|(_, theirs)| &self.theirs[*theirs]).collect();
        causes.sort_by_key(|theirs| std::cmp::Reverse(theirs.state.at));
        let restored = |role: &String, added: bool| {
            let matches = |theirs: &&&Theirs| theirs.state.roles.contains(role) == added;
            let cause = causes.iter().find(matches).or(causes.first());
            Restored {
                role: role.clone(),
                added,
                client: cause.and_then(|theirs| theirs.client.clone()),
                log_id: cause.and_then(|theirs| theirs.log_id.clone()),
            }
        };
        let added = restored_roles.iter().filter(|role| !now.contains(role));
        let removed = now.iter().filter(|role| !restored_roles.contains(role));
        let added = added.map(|role| restored(role, true));
        added.chain(removed.map(|role| restored(role, false))).collect()
    }

    fn race<'a>(
        &'a self,
        (ours, theirs): Pair,
        found: &'a State,
        (merged, held): (Option<&'a [String]>, bool),
    ) -> Race<'a> {
        Race {
            write: self.writes[ours],
            ours: &self.ours[ours],
            record: &self.theirs[theirs].record,
            theirs: &self.theirs[theirs].state,
            found,
            merged,
            held,
        }
    }

    /// These races, as they are stored: `merged` has the roles after a restore, which the brake has `held`.
    #[must_use]
    pub fn races<'a>(
        &'a self,
        pairs: &[Pair],
        found: &'a State,
        merged: Option<&'a [String]>,
        held: bool,
    ) -> Vec<Race<'a>> {
        pairs
            .iter()
            .map(|pair| self.race(*pair, found, (merged, held)))
            .collect()
    }
}

fn pairs<A, B>(ours: &[A], theirs: &[B]) -> impl Iterator<Item = Pair> {
    let theirs = theirs.len();
    (0..ours.len()).flat_map(move |ours| (0..theirs).map(move |theirs| (ours, theirs)))
}
