//! The evaluation of one user under the rules: what the user should hold, and why.
//!
//! Owns the decision from a snapshot alone: the one place in which a rule's decision meets earlier decisions, open
//! changes, pins and the operator's word. Must never need Auth0, nor touch a role that no rule names.

mod carried;
mod own;
mod role;
mod taken;
#[cfg(test)]
mod tests;

use time::OffsetDateTime;

use crate::forbidden::ForbiddenRoles;
use crate::person::Person;
use crate::pin;
use crate::plan::{RoleChange, Want};
use crate::removal::{Removal, RemovalState};
use crate::rule::{Before, Measure, OnExternalRemoval, Rule, Rules};
use crate::snapshot::{DisplayNameState, Facts, OpenChange, Snapshot};
pub use carried::{Carried, Sight, carried};
pub use own::Own;
pub use role::{Role, Seen};

/// The evaluation of a user under the rules in force.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
pub struct Evaluation<'r> {
    facts: Facts,
    /// One entry per rule.
    pub roles: Vec<Role<'r>>,
    /// Pins that have ended: they decide nothing, and may be removed.
    pub ended_pins: bool,
    /// Earlier decided changes of managed roles whose result is unknown.
    pub open: Vec<OpenChange>,
    /// The same for restores of other clients' roles.
    pub restores: Vec<OpenChange>,
    /// A stream's loss stands: counts may be too low, so no role is revoked.
    pub loss: bool,
    /// An import counts plays of the user, or is not released yet: no role is changed.
    pub importing: bool,
    /// The display name that the user requested.
    pub names: DisplayNameState,
    /// A write of ours to the roles was not acknowledged, or no attempt has recorded its result.
    pub unrecorded: bool,
    /// Other clients wrote the user's roles.
    pub foreign_writes: bool,
    /// Brakes that were engaged at the time of the read; the operator may release them at any time.
    pub engaged: Vec<RoleChange>,
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
            shown,
            assignments: mut known,
            pins,
            removals,
            open,
            names,
            unrecorded,
            foreign_writes,
            loss,
            importing,
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
            let (plays, met) = (measured(rule, &facts), rule.is_met(shown));
            let decision = rule.decide_if(met, plays, &before, facts.now);
            let due = rule.decide(plays, Some(&before), facts.now).wanted;
            let kept = due || rule.keeps(plays);
            let pin = pin::counting(&pins, &rule.role, facts.now).cloned();
            let removal = removals.iter().find(|removal| removal.role == rule.role).cloned();
            // A condition that does not hold ends no removal: the user may be the cause of that.
            let stays_removed = kept && known.as_ref().is_some_and(|known| known.suppressed);
            Role {
                rule,
                decision,
                unsure: met.is_none() && pin.is_none() && (before.wanted || due),
                pin,
                suppressed: stays_removed || removal.as_ref().is_some_and(|one| is_held(one, rule)),
                earned: due || (met != Some(true) && kept),
                removal,
                known,
                granting,
                reverted: false,
                forbidden: false,
                left_open: false,
            }
        });
        let roles = roles.collect();
        Self {
            ended_pins: pins.iter().any(|pin| pin.has_ended(facts.now)),
            facts,
            roles,
            open,
            restores,
            loss,
            importing,
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

    /// Whether changes of this kind are held without a brake.
    #[must_use]
    pub fn holds(&self, change: RoleChange) -> bool {
        self.importing || (self.loss && change == RoleChange::Revoked)
    }

    /// Plays that `rule` measures.
    #[must_use]
    pub fn plays(&self, rule: &Rule) -> i64 {
        measured(rule, &self.facts)
    }

    /// Whether the user needs no attempt.
    #[must_use]
    pub fn up_to_date(&self) -> bool {
        self.open.is_empty() && self.restores.is_empty() && self.roles.iter().all(Role::up_to_date)
    }

    /// Time at which a decision changes without an event: a rule's timer, the end of a pin, or of the wait for a record.
    #[must_use]
    pub fn again_at(&self) -> Option<OffsetDateTime> {
        let later = |at: &OffsetDateTime| *at > self.facts.now;
        self.roles.iter().filter_map(Role::again_at).filter(later).min()
    }

    /// Marks a role of which it is not yet known whether a person caused its state, held or not. The role is left open
    /// where its state differs from the last known one, unless the rules restore it in any case, a pin decides, or a grant of
    /// ours without a recorded result makes a held role ours.
    pub fn doubt(&mut self, name: &str, has_role: bool) {
        for role in self.roles.iter_mut().filter(|role| role.rule.role == name) {
            let differs = role
                .known
                .as_ref()
                .is_some_and(|known| known.has_role != has_role);
            let given_back = !has_role && role.wanted() && role.manual() == OnExternalRemoval::Restore;
            let pinned = role.pin.as_ref().is_some_and(|pin| pin.on != has_role);
            let granted = has_role && role.granting;
            role.left_open |= differs && !given_back && !pinned && !granted;
        }
    }

    /// Roles that this attempt neither decides nor stores.
    #[must_use]
    pub fn left_open(&self) -> Vec<String> {
        let open = self.roles.iter().filter(|role| role.left_open);
        open.map(|role| role.rule.role.clone()).collect()
    }

    /// Marks roles on which clients that did not know of our changes reverted them.
    pub fn mark_reverted(&mut self, roles: &[String]) {
        for role in &mut self.roles {
            role.reverted = roles.contains(&role.rule.role);
        }
    }

    /// Notes that a write of ours caused the role's state, which was not recorded: a held role is ours, and a missing
    /// role was not removed by another client, also where an attempt before the record assumed so. Returns the state to store.
    pub fn done_late<'a>(&mut self, role: &'a str, has_role: bool) -> Option<Seen<'a>> {
        let of = self.roles.iter_mut().find(|one| one.rule.role == role)?;
        of.reverted = true;
        of.suppressed = of.removal.as_ref().is_some_and(|one| is_held(one, of.rule));
        Some(Seen {
            role,
            wanted: of.decision.wanted,
            has_role,
            adopted: has_role,
            below_since: of.decision.below_since,
            suppressed: of.suppressed && !has_role,
        })
    }

    /// Whether a pin decides this role. The operator named this user and role, so neither a brake nor a stream's loss
    /// holds the change.
    #[must_use]
    pub fn is_pinned(&self, role: &str) -> bool {
        self.roles
            .iter()
            .any(|one| one.rule.role == role && one.pin.is_some())
    }

    /// Whether an attempt may find that this change, of a role without a pin, has to be made.
    #[must_use]
    pub fn allows(&self, change: RoleChange) -> bool {
        self.roles.iter().any(|role| role.allows(change))
    }

    /// Whether our own records require this change of a role without a pin.
    #[must_use]
    pub fn expects(&self, change: RoleChange) -> bool {
        let mut allowed = self.roles.iter().filter(|role| role.allows(change));
        allowed.any(|role| role.pending_change() == Some(change))
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

/// Whether the operator has to decide on a removal, and the role stays removed until then.
fn is_held(removal: &Removal, rule: &Rule) -> bool {
    removal.state == RemovalState::Held && rule.manual == OnExternalRemoval::Respect
}

/// Plays that `rule` measures.
pub(crate) fn measured(rule: &Rule, facts: &Facts) -> i64 {
    match rule.of {
        Measure::BestPlaylist => facts.best,
        Measure::AllPlaylists => facts.total,
    }
}
