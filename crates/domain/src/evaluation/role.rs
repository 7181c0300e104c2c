//! The evaluation of one role: the rule's decision beside the stored state.
//!
//! Owns when a role is wanted, ours and up to date. Must never look at another role.

use time::OffsetDateTime;

use crate::plan::Change;
use crate::rule::{Decision, Rule};
use crate::snapshot::Assignment;

/// The evaluation of one rule for the user.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one role, each on its own")]
pub struct Role<'r> {
    /// The rule itself.
    pub rule: &'r Rule,
    /// The rule's decision.
    pub decision: Decision,
    /// The operator dropped the role's grant from the brake, or a person removed the role, and the policy leaves it so.
    pub suppressed: bool,
    /// The last known state of the role.
    pub known: Option<Assignment>,
    /// We sent a grant whose result was not recorded. If the user holds the role, we granted it.
    pub(super) granting: bool,
    /// A client that did not know of our change of the role reverted it: the change counts as if it had not been made.
    pub(super) undone: bool,
    /// The role is never added, whatever the rule says.
    pub(super) forbidden: bool,
    /// Records that Auth0 has not yet confirmed say that a write, and no person, caused the role's state: this attempt
    /// neither decides nor stores it.
    pub left_open: bool,
}

/// Result of an attempt for one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Seen<'a> {
    /// The role.
    pub role: &'a str,
    /// The decision of the rules.
    pub wanted: bool,
    /// Whether the profile has it.
    pub held: bool,
    /// Rolekeeper may revoke it.
    pub adopted: bool,
    /// Time since which the user has been below the threshold while the role is kept.
    pub below_since: Option<OffsetDateTime>,
    /// Another client removed the role and it is left so.
    pub suppressed: bool,
}

impl Role<'_> {
    /// Whether the user should hold the role.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.decision.wanted && !self.suppressed
    }

    /// Whether our own records show that nothing has to be changed or verified.
    #[must_use]
    pub fn in_step(&self) -> bool {
        match &self.known {
            None => !self.wanted(),
            Some(known) if self.wanted() => known.held && known.adopted && known.fresh,
            Some(known) => !known.held || (!known.adopted && known.fresh),
        }
    }

    /// Whether rolekeeper may revoke the role.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.granting || self.undone || self.known.as_ref().is_some_and(|known| known.adopted)
    }

    /// Whether the user has the role from us, as far as is known.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.granting
            || self
                .known
                .as_ref()
                .is_some_and(|known| known.held && known.adopted)
    }

    /// Whether an attempt may find that this change has to be made.
    pub(super) fn allows(&self, change: Change) -> bool {
        match change {
            Change::Granted => self.wanted() && !self.forbidden,
            Change::Revoked => !self.wanted() && self.adopted(),
        }
    }

    /// The change that our own records alone require; none when they require none, or only an attempt can determine it.
    #[must_use]
    pub fn awaits(&self) -> Option<Change> {
        let held = self.known.as_ref().is_some_and(|known| known.held);
        match (self.wanted(), held) {
            (true, false) => Some(Change::Granted),
            (false, true) if self.adopted() => Some(Change::Revoked),
            _ => None,
        }
    }
}
