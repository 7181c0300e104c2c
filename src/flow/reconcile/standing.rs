//! Where a user stands: facts, what was decided before, what is open.
//!
//! Owns the decision from facts alone. Must never need Auth0.

use std::time::Duration;

use time::OffsetDateTime;

use crate::store::display_names::Kept;
use crate::store::{Assignment, Dossier, Facts, OpenChange, Seen, StoreError, Tx, dossier};
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::plan::{Change, SeenRoles, Want};
use rolekeeper_domain::rule::{Before, Decision, Manual, Measure, Rule, Rules};

/// A user's standing under the rules in force.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
pub(super) struct Standing<'r> {
    facts: Facts,
    /// One a rule.
    pub(super) roles: Vec<Role<'r>>,
    /// Changes of managed roles decided before, of which nobody knows whether they were done.
    pub(super) open: Vec<OpenChange>,
    /// The same for restores of other clients' roles.
    pub(super) restores: Vec<OpenChange>,
    /// A stream's loss stands: counts may be too low, so nothing is taken away.
    pub(super) loss: bool,
    /// What the user wishes to be called.
    pub(super) names: Kept,
    /// A write of ours to the roles was not answered, or no look has recorded what came of it.
    pub(super) unrecorded: bool,
    /// Other clients wrote the user's roles.
    pub(super) foreign_writes: bool,
    /// Brakes that were engaged when this was read; they may be let go of at any time.
    pub(super) engaged: Vec<Change>,
    /// Somebody was erased for good, perhaps this user.
    pub(super) erasures: bool,
    /// When Auth0 said that it does not know the user, where it has not known the user again.
    pub(super) gone_at: Option<OffsetDateTime>,
}

/// What a rule says of the user.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one role, each on its own")]
pub(super) struct Role<'r> {
    /// The rule.
    pub(super) rule: &'r Rule,
    /// What it says.
    pub(super) decision: Decision,
    /// A person took the role away, or dropped its grant from the brake, and it is left so.
    pub(super) overruled: bool,
    /// What we know of it.
    pub(super) known: Option<Assignment>,
    /// A grant of ours is open: if the user holds the role, it is from us, although nobody recorded it.
    granting: bool,
    /// Our change of the role was undone by a client that knew nothing of it: it stands for us as if it had not
    /// been.
    undone: bool,
    /// It is never added, whatever the rule says.
    forbidden: bool,
    /// Records that Auth0 has not yet confirmed say that a write made it what it is, and no person: nothing is decided or kept
    /// of it in this look.
    pub(super) left_open: bool,
}

impl Role<'_> {
    /// Whether the user should hold the role.
    pub(super) fn wanted(&self) -> bool {
        self.decision.wanted && !self.overruled
    }

    /// Whether our own records say that nothing is to be done and nothing to be verified.
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

    /// Whether a look may find that such a change is to be made.
    fn allows(&self, change: Change) -> bool {
        match change {
            Change::Granted => self.wanted() && !self.forbidden,
            Change::Revoked => !self.wanted() && self.adopted(),
        }
    }

    /// What our own records alone say is to be done; none when they say nothing, or only a look can tell.
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
    /// Reads it, once the user's nomination is locked.
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
            // A grant that nobody recorded was decided all the same.
            let granting = open.iter().any(|open| open.granted && open.role == rule.role);
            let before = Before {
                wanted: granting || known.as_ref().is_some_and(|known| known.wanted),
                since: known.as_ref().map_or(facts.now, |known| known.since),
                below_since: known.as_ref().and_then(|known| known.below_since),
            };
            let decision = rule.decide(measured(rule, &facts), Some(&before), facts.now);
            let overruled = decision.wanted && known.as_ref().is_some_and(|known| known.overruled);
            Role {
                rule,
                decision,
                overruled,
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

    /// When it was read, by Postgres' clock.
    pub(super) fn now(&self) -> OffsetDateTime {
        self.facts.now
    }

    /// Plays that `rule` goes by.
    pub(super) fn plays(&self, rule: &Rule) -> i64 {
        measured(rule, &self.facts)
    }

    /// Whether the user needs no look.
    pub(super) fn in_step(&self) -> bool {
        self.open.is_empty() && self.restores.is_empty() && self.roles.iter().all(Role::in_step)
    }

    /// When a rule will say something else although nothing happens.
    pub(super) fn again_at(&self) -> Option<OffsetDateTime> {
        self.roles.iter().filter_map(|role| role.decision.again_at).min()
    }

    /// Roles that we saw the user hold, that are earned, and that the profile lacks now: somebody took them
    /// away. Those whose rule leaves it so are overruled from here on.
    pub(super) fn taken_away(&mut self, seen: &SeenRoles) -> Vec<(&'r str, Manual)> {
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
                role.overruled = role.rule.manual == Manual::Alert;
                (role.rule.role.as_str(), role.rule.manual)
            })
            .collect()
    }

    /// Of this role, which is held or not, it is not yet known whether a person made it so. It is left open where it was otherwise
    /// before, unless the rules give it back in any case.
    pub(super) fn doubt(&mut self, name: &str, held: bool) {
        for role in self.roles.iter_mut().filter(|role| role.rule.role == name) {
            let differs = role.known.as_ref().is_some_and(|known| known.held != held);
            let given_back = !held && role.wanted() && role.rule.manual != Manual::Alert;
            role.left_open |= differs && !given_back;
        }
    }

    /// Roles of which nothing is decided or kept in this look.
    pub(super) fn left_open(&self) -> Vec<String> {
        let open = self.roles.iter().filter(|role| role.left_open);
        open.map(|role| role.rule.role.clone()).collect()
    }

    /// Our changes of these roles were undone by clients that knew nothing of them.
    pub(super) fn undone(&mut self, roles: &[String]) {
        for role in &mut self.roles {
            role.undone = roles.contains(&role.rule.role);
        }
    }

    /// A write of ours made the role what it is, and nobody recorded it: it is ours if it is held, and if not, nobody took it
    /// away. Answers what to keep of it.
    pub(super) fn done_late<'a>(&mut self, role: &'a str, held: bool) -> Option<Seen<'a>> {
        let of = self.roles.iter_mut().find(|one| one.rule.role == role)?;
        of.undone = true;
        Some(Seen {
            role,
            wanted: of.decision.wanted,
            held,
            adopted: held,
            below_since: of.decision.below_since,
            overruled: of.overruled && !held,
        })
    }

    /// Whether a look may find that such a change is to be made.
    pub(super) fn allows(&self, change: Change) -> bool {
        self.roles.iter().any(|role| role.allows(change))
    }

    /// Whether our own records say that such a change is to be made.
    pub(super) fn expects(&self, change: Change) -> bool {
        let mut allowed = self.roles.iter().filter(|role| role.allows(change));
        allowed.any(|role| role.awaits() == Some(change))
    }

    /// What is wanted of each owned role.
    pub(super) fn wants(&self) -> Vec<Want<'r>> {
        let want = |role: &Role<'r>| Want {
            role: &role.rule.role,
            wanted: role.wanted(),
            adopted: role.adopted(),
        };
        // What is forbidden and due is left as it is.
        let may = |role: &&Role<'r>| !(role.left_open || role.forbidden && role.wanted());
        self.roles.iter().filter(may).map(want).collect()
    }

    /// These roles are never added.
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
