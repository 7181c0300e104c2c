//! Changes that are held until the operator acts: revokes while a stream's loss stands, all changes of a user of an import, and a
//! mass of changes of either kind.
//!
//! Owns which changes of a plan are held, and the plan without them; `permission` asks the brakes. Must never write what is
//! held, and never hold what the operator has just released.

use super::attempt::Attempt;
use crate::store::HeldBy;
use rolekeeper_domain::brake::Verdict;
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::{Plan, RoleChange, SeenRoles, plan};

/// The kinds of changes of one user that are held.
#[derive(Debug, Default)]
pub(super) struct Braked {
    /// Revokes are held because of a stream's loss.
    pub(super) loss: bool,
    /// All changes are held because of an import.
    pub(super) import: bool,
    /// Changes whose brake is engaged.
    pub(super) brakes: Vec<RoleChange>,
    /// Pinned roles whose changes are not held.
    pinned: Vec<String>,
}

impl Braked {
    fn holds(&self, role: &str, change: RoleChange) -> bool {
        let held =
            self.import || self.brakes.contains(&change) || (self.loss && change == RoleChange::Revoked);
        held && !self.pinned.iter().any(|pinned| pinned == role)
    }

    /// Notes that changes of this kind are held without a brake, if they are.
    pub(super) fn without_brake(&mut self, change: RoleChange, evaluation: &Evaluation<'_>) -> bool {
        let holds = evaluation.holds(change);
        if holds && evaluation.importing {
            self.import = true;
        } else if holds {
            self.loss = true;
        }
        holds
    }

    /// The reason why changes are held; none if no change is.
    pub(super) fn held_by(&self) -> Option<HeldBy> {
        match self.brakes.as_slice() {
            _ if self.import => Some(HeldBy::Import),
            _ if self.loss => Some(HeldBy::StreamLoss),
            [] => None,
            [only] => Some(HeldBy::Brake(*only)),
            _ => Some(HeldBy::BothBrakes),
        }
    }

    /// The rest of a plan without the held changes.
    pub(super) fn drop_held(&self, full: Plan, seen: &SeenRoles, evaluation: &Evaluation<'_>) -> Plan {
        if self.held_by().is_none() {
            return full;
        }
        let held = |role: &str| {
            let mut changes = full.changes().iter();
            changes.any(|(changed, change)| changed == role && self.holds(role, *change))
        };
        let mut wants = evaluation.wants();
        wants.retain(|want| !held(want.role));
        plan(seen, &wants).expect("these roles were part of the first plan")
    }
}

impl Attempt {
    /// Determines which changes of a plan are held, by the permission obtained before the profile was read. Takes no
    /// lock.
    ///
    /// # Errors
    /// A change was not expected: the brake must be asked for it before the profile is read again.
    pub(super) fn brake(&self, evaluation: &Evaluation<'_>, full: &Plan) -> Result<Braked, RoleChange> {
        let planned = full.changes().iter();
        let (pinned, others): (Vec<_>, Vec<_>) = planned.partition(|(role, _)| evaluation.is_pinned(role));
        let mut braked = Braked {
            pinned: pinned.into_iter().map(|(role, _)| role.clone()).collect(),
            ..Braked::default()
        };
        // Grants first, as everywhere.
        for change in [RoleChange::Granted, RoleChange::Revoked] {
            if !others.iter().any(|(_, planned)| *planned == change) {
                continue;
            }
            if braked.without_brake(change, evaluation) {
                continue;
            }
            match self.permission.verdict(change) {
                // In shadow mode nothing is written, so nothing needs a brake.
                _ if !self.context.writes => {}
                Some(Verdict::Pass) => {}
                Some(Verdict::Hold | Verdict::Engage) => braked.brakes.push(change),
                None if self.claim.passes(change) => {}
                None if evaluation.engaged.contains(&change) => braked.brakes.push(change),
                None if self.permission.passes_unasked(change) => {}
                None => return Err(change),
            }
        }
        Ok(braked)
    }
}
