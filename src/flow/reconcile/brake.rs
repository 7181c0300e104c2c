//! The changes of a plan that are held, by the permission that the attempt has.
//!
//! Owns the order in which permission is looked for; `domain::held` says which changes are held, and `permission` asks the
//! brakes. Must never hold what the operator has just released.

use super::attempt::Attempt;
use rolekeeper_domain::brake::Verdict;
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::held::Held;
use rolekeeper_domain::plan::{Plan, RoleChange};

impl Attempt {
    /// Determines which changes of a plan are held, by the permission obtained before the profile was read. Takes no
    /// lock.
    ///
    /// # Errors
    /// A change was not expected: the brake must be asked for it before the profile is read again.
    pub(super) fn brake(&self, evaluation: &Evaluation<'_>, full: &Plan) -> Result<Held, RoleChange> {
        Held::of(evaluation, full, |change| match self.permission.verdict(change) {
            // In shadow mode nothing is written, so nothing needs a brake.
            _ if !self.context.writes => Some(Verdict::Pass),
            Some(verdict) => Some(verdict),
            None if self.claim.passes(change) => Some(Verdict::Pass),
            None if evaluation.engaged.contains(&change) => Some(Verdict::Hold),
            None if self.permission.passes_unasked(change) => Some(Verdict::Pass),
            None => None,
        })
    }
}
