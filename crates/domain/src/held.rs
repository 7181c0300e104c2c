//! Changes that are held until the operator acts: revokes while a stream's loss stands, all changes of a user of an import, and a
//! mass of changes of either kind.
//!
//! Owns which changes of a plan are held, and the plan without them. Must never hold what a pin decides, and never pass what
//! is held.

use crate::brake::Verdict;
use crate::evaluation::Evaluation;
use crate::plan::{Plan, RoleChange, SeenRoles, plan};

/// Reason why changes of a user are held until the operator acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// A stream's loss is recorded: revokes are held.
    StreamLoss,
    /// An import counts plays of the user, or is not released yet: all changes are held.
    Import,
    /// The brake on these changes is engaged.
    Brake(RoleChange),
    /// Both brakes are engaged.
    BothBrakes,
    /// The brake on deleted users is engaged.
    GoneBrake,
}

impl HeldBy {
    /// The mark in the work queue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StreamLoss => "stream_loss",
            Self::Import => "import",
            Self::Brake(RoleChange::Revoked) => "brake_revokes",
            Self::Brake(RoleChange::Granted) => "brake_grants",
            Self::BothBrakes => "brake_both",
            Self::GoneBrake => "brake_gone",
        }
    }
}

/// The kinds of changes of one user that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Revokes are held because of a stream's loss.
    pub loss: bool,
    /// All changes are held because of an import.
    pub import: bool,
    /// Changes whose brake is engaged.
    pub brakes: Vec<RoleChange>,
    /// Pinned roles whose changes are not held.
    pinned: Vec<String>,
}

impl Held {
    /// Determines which changes of a plan are held. `permission` is the verdict of a kind's brake; none where the brake must be
    /// asked first.
    ///
    /// # Errors
    /// The kind of change for which the brake must be asked.
    pub fn of(
        evaluation: &Evaluation<'_>,
        full: &Plan,
        mut permission: impl FnMut(RoleChange) -> Option<Verdict>,
    ) -> Result<Self, RoleChange> {
        let planned = full.changes().iter();
        let (pinned, others): (Vec<_>, Vec<_>) = planned.partition(|(role, _)| evaluation.is_pinned(role));
        let mut held = Self {
            pinned: pinned.into_iter().map(|(role, _)| role.clone()).collect(),
            ..Self::default()
        };
        // Grants first, as everywhere.
        for change in [RoleChange::Granted, RoleChange::Revoked] {
            if !others.iter().any(|(_, planned)| *planned == change) {
                continue;
            }
            if held.without_brake(change, evaluation) {
                continue;
            }
            match permission(change) {
                Some(Verdict::Pass) => {}
                Some(Verdict::Hold | Verdict::Engage) => held.brakes.push(change),
                None => return Err(change),
            }
        }
        Ok(held)
    }

    /// Notes that changes of this kind are held without a brake, if they are.
    pub fn without_brake(&mut self, change: RoleChange, evaluation: &Evaluation<'_>) -> bool {
        let holds = evaluation.holds(change);
        if holds && evaluation.importing {
            self.import = true;
        } else if holds {
            self.loss = true;
        }
        holds
    }

    fn holds(&self, role: &str, change: RoleChange) -> bool {
        let held =
            self.import || self.brakes.contains(&change) || (self.loss && change == RoleChange::Revoked);
        held && !self.pinned.iter().any(|pinned| pinned == role)
    }

    /// The reason why changes are held; none if no change is.
    #[must_use]
    pub fn by(&self) -> Option<HeldBy> {
        match self.brakes.as_slice() {
            _ if self.import => Some(HeldBy::Import),
            _ if self.loss => Some(HeldBy::StreamLoss),
            [] => None,
            [only] => Some(HeldBy::Brake(*only)),
            _ => Some(HeldBy::BothBrakes),
        }
    }

    /// The rest of a plan without the held changes.
    ///
    /// # Panics
    /// Never: `seen` has a form that was planned before.
    #[must_use]
    pub fn drop_held(&self, full: Plan, seen: &SeenRoles, evaluation: &Evaluation<'_>) -> Plan {
        if self.by().is_none() {
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
