//! Why a user holds a role, or does not: all that is stored about it, as one value.
//!
//! Owns the value that every output renders, and what it says is not known. Must never decide another way than an attempt does: the
//! evaluation is the same.

mod reasons;
mod role;
mod rows;
mod stored;
mod system;
#[cfg(test)]
mod tests;
mod waits;
mod words;

use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::evaluation::Evaluation;
use crate::forbidden::ForbiddenRoles;
use crate::plan::RoleChange;
use crate::rule::Rules;
use crate::snapshot::Snapshot;
use reasons::About;
pub use role::RoleExplained;
pub use rows::{list, yes_no};
pub use stored::{Account, Crossing, Decision, Id, IdKind, Page, PinRow, Playlist, Playlists, Queued, Write};
pub use system::{CountedTo, EngagedBrake, Loss, Paused, System, WritesOff};
pub use waits::obstacles;
pub(crate) use words::plays;
pub use words::{moment, outcome, plain, quoted, reason, unknown};

/// All that is stored about the roles of one user, read at one moment.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The id that the operator named.
    pub asked_for: String,
    /// The ids of the person, the primary first.
    pub ids: Vec<Id>,
    /// The rules in force.
    pub in_force: Option<(Rules, InForce)>,
    /// The snapshot of the primary, as an attempt reads it.
    pub snapshot: Snapshot,
    /// The last read of the profile for each role.
    pub verified: Vec<(String, OffsetDateTime)>,
    /// The local copy.
    pub account: Option<Account>,
    /// The playlists of the person.
    pub playlists: Playlists,
    /// Entries of the work queue.
    pub queue: Vec<Queued>,
    /// Pins of all ids, also ended ones.
    pub pins: Vec<PinRow>,
    /// The last completed change of each role.
    pub last_changes: Vec<Decision>,
    /// The decisions.
    pub decisions: Page<Decision>,
    /// The writes to Auth0.
    pub writes: Page<Write>,
    /// The state of the deployment.
    pub system: System,
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InForce {
    /// Their version; 0 without one.
    pub version: i64,
    /// The time since which they are in force.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// The file or command that put them in force.
    pub put_by: Option<String>,
}

/// Why a user holds roles, or does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The id under which roles are decided and written.
    pub user_id: String,
    /// The id that the operator named.
    pub asked_for: String,
    /// Time of the read, by Postgres' clock.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// The rules in force; null before the first start of a worker.
    pub rules: Option<InForce>,
    /// The managed roles.
    pub roles: Vec<RoleExplained>,
    /// The local copy; null if Auth0 never returned the user.
    pub account: Option<Account>,
    /// The ids of the person.
    pub ids: Vec<Id>,
    /// The playlists of the person.
    pub playlists: Playlists,
    /// Entries of the work queue.
    pub queue: Vec<Queued>,
    /// The sentences about the work queue.
    pub waits: Vec<String>,
    /// The sentences about the deployment: what delays or holds changes.
    pub obstacles: Vec<String>,
    /// Pins of all ids of the person, also ended ones.
    pub pins: Vec<PinRow>,
    /// The decisions.
    pub decisions: Page<Decision>,
    /// The writes to Auth0.
    pub writes: Page<Write>,
    /// The state of the deployment.
    pub system: System,
    /// The sentences about facts that are not known.
    pub not_known: Vec<String>,
}

impl Stored {
    /// Whether something is stored that concerns roles of this user.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.account.is_some()
            || self.ids.len() > 1
            || self.playlists.count + self.playlists.deleted > 0
            || !self.snapshot.assignments.is_empty()
            || !(self.queue.is_empty() && self.pins.is_empty())
            || !(self.decisions.rows.is_empty() && self.writes.rows.is_empty())
    }

    fn primary(&self) -> &str {
        self.ids
            .first()
            .map_or(self.asked_for.as_str(), |id| id.id.as_str())
    }

    /// Whether the stored profile has the role.
    fn in_profile(&self, role: &str) -> Option<bool> {
        let account = self.account.as_ref().filter(|account| account.has_profile)?;
        let roles = account.roles.as_ref().and_then(|roles| roles.as_array());
        Some(roles.is_some_and(|roles| roles.iter().any(|one| one == role)))
    }

    fn roles(&self, forbidden: &ForbiddenRoles) -> Vec<RoleExplained> {
        let Some((rules, _)) = &self.in_force else {
            return vec![];
        };
        let evaluation = Evaluation::of(self.snapshot.clone(), rules);
        let explained = evaluation.roles.iter().map(|role| {
            let name = role.rule.role.as_str();
            let open = &self.snapshot.open;
            let granting = open
                .iter()
                .any(|open| open.granted && !open.restore && open.role == name);
            let verified = self.verified.iter().find(|(role, _)| role == name);
            let pin = role.pin.as_ref().and_then(|pin| {
                let same = |row: &&PinRow| row.role == pin.role && row.on == pin.on && row.until == pin.until;
                self.pins.iter().find(same)
            });
            let about = About {
                user: self.primary(),
                plays: evaluation.plays(role.rule),
                playlists: self.playlists.count,
                best: self.playlists.most_played.first(),
                shown: self.snapshot.shown,
                wanted_before: granting || role.known.as_ref().is_some_and(|known| known.wanted),
                in_profile: self.in_profile(name),
                verified_at: verified.map(|(_, at)| *at),
                pin,
                forbidden: forbidden.has(name),
                cause: self.queue.iter().find_map(|entry| entry.cause.as_ref()),
                last_change: self.last_changes.iter().find(|change| change.role == name),
            };
            RoleExplained::of(role, &about)
        });
        explained.collect()
    }

    fn not_known(&self, roles: &[RoleExplained]) -> Vec<String> {
        let mut said = Vec::new();
        if self.in_force.is_none() {
            said.push(
                "No rules are in force, since no worker has been started yet: so nothing is managed."
                    .to_owned(),
            );
        }
        match &self.account {
            None => said
                .push("No profile is stored: Auth0 has not yet returned this user to rolekeeper.".to_owned()),
            Some(account) if !account.has_profile && account.deleted_since.is_none() => {
                said.push("No whole profile is stored, so other roles of the user are not known.".to_owned());
            }
            Some(_) => {}
        }
        let first = self.account.as_ref().map(|account| account.first_seen_at);
        for role in roles
            .iter()
            .filter(|role| role.holds == Some(true) && role.last_change.is_none())
        {
            let before = first.map_or_else(String::new, |at| format!(" before {}", moment(at)));
            said.push(format!(
                "Since when and from which client the user has {} is not known{before}: no change of it is recorded.",
                role.role
            ));
        }
        if self.writes.rows.len() < self.decisions.rows.len() {
            said.push(
                "Writes to Auth0 are stored for some days only; decisions are stored permanently.".to_owned(),
            );
        }
        match self.system.counted_to {
            None => said.push("No event has been counted yet.".to_owned()),
            Some(to) => said.push(format!(
                "Events after message {} of APP_EVENTS, which the stream stored at {}, are not counted yet.",
                to.stream_seq,
                moment(to.stored_at)
            )),
        }
        said
    }
}

impl Explanation {
    /// Explains what is stored.
    #[must_use]
    pub fn of(stored: Stored, forbidden: &ForbiddenRoles) -> Self {
        let roles = stored.roles(forbidden);
        let pending: Vec<RoleChange> = roles.iter().filter_map(|role| role.pending).collect();
        let at = stored.snapshot.facts.now;
        Self {
            waits: waits::queued(&stored.queue, !pending.is_empty(), at),
            obstacles: waits::obstacles_of(&stored.system, &stored.queue, &pending),
            not_known: stored.not_known(&roles),
            user_id: stored.primary().to_owned(),
            asked_for: stored.asked_for,
            at,
            rules: stored.in_force.map(|(_, in_force)| in_force),
            roles,
            account: stored.account,
            ids: stored.ids,
            playlists: stored.playlists,
            queue: stored.queue,
            pins: stored.pins,
            decisions: stored.decisions,
            writes: stored.writes,
            system: stored.system,
        }
    }
}
