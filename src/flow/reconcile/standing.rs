//! The evaluation of a user: facts, earlier decisions, open changes.
//!
//! Owns the decision from facts alone. Must never need Auth0.

use std::time::Duration;

use time::OffsetDateTime;

use crate::store::display_names::Kept;
use crate::store::{Assignment, Dossier, Facts, OpenChange, Seen, StoreError, Tx, dossier};
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::plan::{Change, SeenRoles, Want};
use rolekeeper_domain::rule::{Before, Decision, Manual, Measure, Rule, Rules};

/// The evaluation of a user under the rules in force.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
pub(super) struct Standing<'r> {
    facts: Facts,
    /// One entry per rule.
    pub(super) roles: Vec<Role<'r>>,
    /// Earlier decided changes of managed roles whose result is unknown.
    pub(super) open: Vec<OpenChange>,
    /// The same for restores of other clients' roles.
    pub(super) restores: Vec<OpenChange>,
    /// A stream's loss stands: counts may be too low, so no role is revoked.
    pub(super) loss: bool,
    /// The display name that the user requested.
    pub(super) names: Kept,
    /// A write of ours to the roles was not acknowledged, or no attempt has recorded its result.
    pub(super) unrecorded: bool,
    /// Other clients wrote the user's roles.
    pub(super) foreign_writes: bool,
    /// Brakes that were engaged at the time of the read; the operator may release them at any time.
    pub(super) engaged: Vec<Change>,
    /// A user was erased at some time, perhaps this one.
    pub(super) erasures: bool,
    /// Time of Auth0's response that it does not know the user; none if Auth0 has known the user since.
    pub(super) gone_at: Option<OffsetDateTime>,
}

/// The evaluation of one rule for the user.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one role, each on its own")]
pub(super) struct Role<'r> {
    /// The rule itself.
    pub(super) rule: &'r Rule,
    /// The rule's decision.
    pub(super) decision: Decision,
    /// The operator dropped the role's grant from the brake, or a person removed the role, and the policy leaves it so.
    pub(super) suppressed: bool,
    /// The last known state of the role.
    pub(super) known: Option<Assignment>,
    /// We sent a grant whose result was not recorded. If the user holds the role, we granted it.
    granting: bool,
    /// A client that did not know of our change of the role reverted it: the change counts as if it had not been made.
    undone: bool,
    /// The role is never added, whatever the rule says.
    forbidden: bool,
    /// Records that Auth0 has not yet confirmed say that a write, and no person, caused the role's state: this attempt
    /// neither decides nor stores it.
    pub(super) left_open: bool,
}

impl Role<'_> {
    /// Whether the user should hold the role.
    pub(super) fn wanted(&self) -> bool {
        self.decision.wanted && !self.suppressed
    }

    /// Whether our own records show that nothing has to be changed or verified.
    pub(super) fn in_step(&self) -> bool {
        match &self.known {
            None => !self.wanted(),
            Some(known) if self.wanted() => known.held && known.adopted && known.fresh,
            Some(known) => !known.held || (!known.adopted && known.fresh),
        }
    }

    pub(super) fn adopted(&self) -> bool {
        self.granting || self.undone || self.known.as_ref().is_some_and(|known| known.adopted)
    }

    /// Whether an attempt may find that this change has to be made.
    fn allows(&self, change: Change) -> bool {
        match change {
            Change::Granted => self.wanted() && !self.forbidden,
            Change::Revoked => !self.wanted() && self.adopted(),
        }
    }

    /// The change that our own records alone require; none when they require none, or only an attempt can determine it.
    pub(super) fn awaits(&self) -> Option<Change> {
        let held = self.known.as_ref().is_some_and(|known| known.held);
        match (self.wanted(), held) {
            (true, false) => Some(Change::Granted),
            (false, true) if self.adopted() => Some(Change::Revoked),
            _ => None,
        }
    }
}

impl<'r> Standing<'r> {
    /// Reads the evaluation, once the user's queue row is locked.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        user: &str,
        rules: &'r Rules,
        verify_after: Duration,
    ) -> Result<Self, StoreError> {
        let Dossier {
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
        } = dossier::of_user(tx, user, verify_after).await?;
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
        Ok(Self {
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
        })
    }

    /// Time of the read, by Postgres' clock.
    pub(super) fn now(&self) -> OffsetDateTime {
        self.facts.now
    }

    /// Plays that `rule` measures.
    pub(super) fn plays(&self, rule: &Rule) -> i64 {
        measured(rule, &self.facts)
    }

    /// Whether the user needs no attempt.
    pub(super) fn in_step(&self) -> bool {
        self.open.is_empty() && self.restores.is_empty() && self.roles.iter().all(Role::in_step)
    }

    /// Time at which a rule's decision changes without an event.
    pub(super) fn again_at(&self) -> Option<OffsetDateTime> {
        self.roles.iter().filter_map(|role| role.decision.again_at).min()
    }

    /// Roles that an attempt saw the user hold, that are earned, and that the profile lacks now: another client removed
    /// them. Roles that the rule's policy leaves removed are suppressed from now on.
    pub(super) fn externally_removed(&mut self, seen: &SeenRoles) -> Vec<(&'r str, Manual)> {
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
    pub(super) fn doubt(&mut self, name: &str, held: bool) {
        for role in self.roles.iter_mut().filter(|role| role.rule.role == name) {
            let differs = role.known.as_ref().is_some_and(|known| known.held != held);
            let given_back = !held && role.wanted() && role.rule.manual != Manual::Alert;
            role.left_open |= differs && !given_back;
        }
    }

    /// Roles that this attempt neither decides nor stores.
    pub(super) fn left_open(&self) -> Vec<String> {
        let open = self.roles.iter().filter(|role| role.left_open);
        open.map(|role| role.rule.role.clone()).collect()
    }

    /// Marks roles on which clients that did not know of our changes reverted them.
    pub(super) fn undone(&mut self, roles: &[String]) {
        for role in &mut self.roles {
            role.undone = roles.contains(&role.rule.role);
        }
    }

    /// Notes that a write of ours caused the role's state, which was not recorded: a held role is ours, and a missing
    /// role was not removed by another client. Returns the state to store.
    pub(super) fn done_late<'a>(&mut self, role: &'a str, held: bool) -> Option<Seen<'a>> {
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
    pub(super) fn allows(&self, change: Change) -> bool {
        self.roles.iter().any(|role| role.allows(change))
    }

    /// Whether our own records require this change.
    pub(super) fn expects(&self, change: Change) -> bool {
        let mut allowed = self.roles.iter().filter(|role| role.allows(change));
        allowed.any(|role| role.awaits() == Some(change))
    }

    /// The wanted state of each owned role.
    pub(super) fn wants(&self) -> Vec<Want<'r>> {
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
    pub(super) fn forbid(&mut self, forbidden: &ForbiddenRoles) {
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
