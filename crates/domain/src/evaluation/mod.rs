//! The evaluation of one user under the rules: what the user should hold, and why.
//!
//! Owns the decision from a snapshot alone: the one place in which a rule's decision meets earlier decisions, open
//! changes and the operator's word. Must never need Auth0, nor touch a role that no rule names.

mod carried;
mod role;
#[cfg(test)]
mod tests;

use time::OffsetDateTime;

use crate::forbidden::ForbiddenRoles;
use crate::person::Person;
use crate::plan::{Change, SeenRoles, Want};
use crate::rule::{Before, Manual, Measure, Rule, Rules};
use crate::snapshot::{DisplayNameState, Facts, OpenChange, Snapshot};
pub use carried::{Carried, carried};
pub use role::{Role, Seen};

/// The evaluation of a user under the rules in force.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
pub struct Evaluation<'r> {
    facts: Facts,
    /// One entry per rule.
    pub roles: Vec<Role<'r>>,
    /// Earlier decided changes of managed roles whose result is unknown.
    pub open: Vec<OpenChange>,
    /// The same for restores of other clients' roles.
    pub restores: Vec<OpenChange>,
    /// A stream's loss stands: counts may be too low, so no role is revoked.
    pub loss: bool,
    /// The display name that the user requested.
    pub names: DisplayNameState,
    /// A write of ours to the roles was not acknowledged, or no attempt has recorded its result.
    pub unrecorded: bool,
    /// Other clients wrote the user's roles.
    pub foreign_writes: bool,
    /// Brakes that were engaged at the time of the read; the operator may release them at any time.
    pub engaged: Vec<Change>,
    /// A user was erased at some time, perhaps this one.
    pub erasures: bool,
    /// Time of Auth0's response that it does not know the user; none if Auth0 has known the user since.
    pub gone_at: Option<OffsetDateTime>,
    /// The linked ids.
    pub person: Person,
}

impl<'r> Evaluation<'r> {
    /// Evaluates a snapshot.
    #[must_use]
    pub fn of(snapshot: Snapshot, rules: &'r Rules) -> Self {
        let Snapshot {
            facts,
            assignments: mut known,
            open,
            names,
            unrecorded,
            foreign_writes,
            loss,
            engaged,
            erasures,
            gone_at,
            person,
        } = snapshot;
        let (restores, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|open| open.restore);
        let roles = rules.as_slice().iter().map(|rule| {
            let known = known
                .iter()
                .position(|one| one.role == rule.role)
                .map(|index| known.swap_remove(index));
            // A grant whose result was not recorded was decided all the same.
            let granting = open.iter().any(|open| open.granted && open.role == rule.role);
            let before = Before {
                wanted: granting || known.as_ref().is_some_and(|known| known.wanted),
                since: known.as_ref().map_or(facts.now, |known| known.since),
                below_since: known.as_ref().and_then(|known| known.below_since),
            };
            let decision = rule.decide(measured(rule, &facts), Some(&before), facts.now);
            let suppressed = decision.wanted && known.as_ref().is_some_and(|known| known.suppressed);
            Role {
                rule,
                decision,
                suppressed,
                known,
                granting,
                undone: false,
                forbidden: false,
                left_open: false,
            }
        });
        let roles = roles.collect();
        Self {
            facts,
            roles,
            open,
            restores,
            loss,
            names,
            unrecorded,
            foreign_writes,
            engaged,
            erasures,
            gone_at,
            person,
        }
    }

    /// Time of the read, by Postgres' clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.facts.now
    }

    /// Plays that `rule` measures.
    #[must_use]
    pub fn plays(&self, rule: &Rule) -> i64 {
        measured(rule, &self.facts)
    }

    /// Whether the user needs no attempt.
    #[must_use]
    pub fn in_step(&self) -> bool {
        self.open.is_empty() && self.restores.is_empty() && self.roles.iter().all(Role::in_step)
    }

    /// Time at which a rule's decision changes without an event.
    #[must_use]
    pub fn again_at(&self) -> Option<OffsetDateTime> {
        self.roles.iter().filter_map(|role| role.decision.again_at).min()
    }

    /// Roles that an attempt saw the user hold, that are earned, and that the profile lacks now: another client removed
    /// them. Roles that the rule's policy leaves removed are suppressed from now on.
    pub fn externally_removed(&mut self, seen: &SeenRoles) -> Vec<(&'r str, Manual)> {
        let open = &self.open;
        let taken = self.roles.iter_mut().filter(|role| {
            let held = role
                .known
                .as_ref()
                .is_some_and(|known| known.held && known.adopted);
            let revoking = open
                .iter()
                .any(|open| open.role == role.rule.role && !open.granted);
            held && role.wanted()
                && !revoking
                && !role.undone
                && !role.left_open
                && !seen.has(&role.rule.role)
        });
        taken
            .map(|role| {
                role.suppressed = role.rule.manual == Manual::Alert;
                (role.rule.role.as_str(), role.rule.manual)
            })
            .collect()
    }

    /// Marks a role of which it is not yet known whether a person caused its state, held or not. The role is left open
    /// where its state differs from the last known one, unless the rules restore it in any case.
    pub fn doubt(&mut self, name: &str, held: bool) {
        for role in self.roles.iter_mut().filter(|role| role.rule.role == name) {
            let differs = role.known.as_ref().is_some_and(|known| known.held != held);
            let given_back = !held && role.wanted() && role.rule.manual != Manual::Alert;
            role.left_open |= differs && !given_back;
        }
    }

    /// Roles that this attempt neither decides nor stores.
    #[must_use]
    pub fn left_open(&self) -> Vec<String> {
        let open = self.roles.iter().filter(|role| role.left_open);
        open.map(|role| role.rule.role.clone()).collect()
    }

    /// Marks roles on which clients that did not know of our changes reverted them.
    pub fn undone(&mut self, roles: &[String]) {
        for role in &mut self.roles {
            role.undone = roles.contains(&role.rule.role);
        }
    }

    /// Notes that a write of ours caused the role's state, which was not recorded: a held role is ours, and a missing
    /// role was not removed by another client. Returns the state to store.
    pub fn done_late<'a>(&mut self, role: &'a str, held: bool) -> Option<Seen<'a>> {
        let of = self.roles.iter_mut().find(|one| one.rule.role == role)?;
        of.undone = true;
        Some(Seen {
            role,
            wanted: of.decision.wanted,
            held,
            adopted: held,
            below_since: of.decision.below_since,
            suppressed: of.suppressed && !held,
        })
    }

    /// Whether an attempt may find that this change has to be made.
    #[must_use]
    pub fn allows(&self, change: Change) -> bool {
        self.roles.iter().any(|role| role.allows(change))
    }

    /// Whether our own records require this change.
    #[must_use]
    pub fn expects(&self, change: Change) -> bool {
        let mut allowed = self.roles.iter().filter(|role| role.allows(change));
        allowed.any(|role| role.awaits() == Some(change))
    }

    /// The wanted state of each owned role.
    #[must_use]
    pub fn wants(&self) -> Vec<Want<'r>> {
        let want = |role: &Role<'r>| Want {
            role: &role.rule.role,
            wanted: role.wanted(),
            adopted: role.adopted(),
        };
        // A forbidden role that is due is left as it is.
        let may = |role: &&Role<'r>| !(role.left_open || role.forbidden && role.wanted());
        self.roles.iter().filter(may).map(want).collect()
    }

    /// Marks roles that are never added.
    pub fn forbid(&mut self, forbidden: &ForbiddenRoles) {
        for role in &mut self.roles {
            role.forbidden = forbidden.has(&role.rule.role);
        }
    }
}

fn measured(rule: &Rule, facts: &Facts) -> i64 {
    match rule.of {
        Measure::BestPlaylist => facts.best,
        Measure::AllPlaylists => facts.total,
    }
}
