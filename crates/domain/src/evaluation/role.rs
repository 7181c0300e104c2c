//! The evaluation of one role: the rule's decision beside the stored state.
//!
//! Owns when a role is wanted, ours and up to date, and that a pin outweighs the rule. Must never look at another role.

use time::OffsetDateTime;

use crate::pin::Pin;
use crate::plan::{RoleChange, SeenRoles};
use crate::removal::{Removal, RemovalState};
use crate::rule::{Decision, OnExternalRemoval, Rule};
use crate::snapshot::Assignment;

/// The evaluation of one rule for the user.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one role, each on its own")]
pub struct Role<'r> {
    /// The rule itself.
    pub rule: &'r Rule,
    /// The rule's decision.
    pub decision: Decision,
    /// A condition decides, and the profile that it is about is not known: it must be read.
    pub unsure: bool,
    /// The pin that outweighs the rule, if one stands.
    pub pin: Option<Pin>,
    /// The role is missing, and the cause is not settled.
    pub removal: Option<Removal>,
    /// The count gives the role, or would let a holder keep it if the conditions held.
    pub(super) earned: bool,
    /// The operator dropped the role's grant from the brake, or a person removed the role, and the policy leaves it so. A
    /// pin outweighs it.
    pub suppressed: bool,
    /// The last known state of the role.
    pub known: Option<Assignment>,
    /// We sent a grant whose result was not recorded. If the user holds the role, we granted it.
    pub(super) granting: bool,
    /// A client that did not know of our change of the role reverted it: the change counts as if it had not been made.
    pub(super) reverted: bool,
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
    pub has_role: bool,
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
        match &self.pin {
            Some(pin) => pin.on,
            None => self.decision.wanted && !self.suppressed,
        }
    }

    /// Whether the user must not hold the role, even if another client gave it.
    fn is_pinned_off(&self) -> bool {
        self.pin.as_ref().is_some_and(|pin| !pin.on)
    }

    /// Reaction to a removal by another client: a pinned role is granted again.
    pub(super) fn manual(&self) -> OnExternalRemoval {
        match self.pin {
            Some(_) => OnExternalRemoval::Restore,
            None => self.rule.manual,
        }
    }

    /// Whether a removal by another client may become a pin.
    pub(super) fn respects(&self) -> bool {
        self.manual() == OnExternalRemoval::Respect
    }

    /// Time at which the decision changes without an event.
    pub(super) fn again_at(&self) -> Option<OffsetDateTime> {
        let pin = self.pin.as_ref().and_then(|pin| pin.until);
        let record = self.removal.as_ref().and_then(Removal::waits_until);
        [self.decision.again_at, pin, record].into_iter().flatten().min()
    }

    /// Whether our own records show that nothing has to be changed or verified.
    #[must_use]
    pub fn up_to_date(&self) -> bool {
        if self.unsure {
            return false;
        }
        if self
            .removal
            .as_ref()
            .is_some_and(|removal| removal.state != RemovalState::Held || !self.respects())
        {
            return false;
        }
        match &self.known {
            None => !self.wanted(),
            // A pin gives a role, but does not make a role ours that another client gave.
            Some(known) if self.wanted() => {
                known.has_role && known.fresh && (known.adopted || self.pin.is_some())
            }
            Some(known) => !known.has_role || (!known.adopted && !self.is_pinned_off() && known.fresh),
        }
    }

    /// Whether rolekeeper may revoke the role.
    #[must_use]
    pub fn adopted(&self) -> bool {
        let known = self.known.as_ref().is_some_and(|known| known.adopted);
        self.granting || self.reverted || known || self.is_pinned_off()
    }

    /// Whether the user has the role from us, as far as is known.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.granting
            || self
                .known
                .as_ref()
                .is_some_and(|known| known.has_role && known.adopted)
    }

    /// Whether an attempt may find that this change has to be made, and a brake may hold it.
    pub(super) fn allows(&self, change: RoleChange) -> bool {
        match change {
            _ if self.pin.is_some() => false,
            RoleChange::Granted => (self.wanted() || self.unsure) && !self.forbidden,
            RoleChange::Revoked => (!self.wanted() || self.unsure) && self.adopted(),
        }
    }

    /// The state of the role that an attempt stores, as `shown` has it; none where the attempt leaves it open, and for an unknown role that
    /// is neither held nor wanted.
    #[must_use]
    pub fn seen(&self, shown: &SeenRoles) -> Option<Seen<'_>> {
        let (has_role, wanted) = (shown.has(&self.rule.role), self.decision.wanted);
        let stored = !self.left_open && (has_role || wanted || self.known.is_some());
        stored.then(|| Seen {
            role: &self.rule.role,
            wanted,
            has_role,
            // A role that is held and earned is ours from now on; a role that is gone cannot be owned.
            adopted: has_role && (self.adopted() || wanted),
            below_since: self.decision.below_since,
            suppressed: self.suppressed && !has_role,
        })
    }

    /// The change that our own records alone require; none when they require none, or only an attempt can determine it.
    #[must_use]
    pub fn pending_change(&self) -> Option<RoleChange> {
        let missed = |removal: &Removal| removal.state == RemovalState::Waiting;
        let has_role = self.known.as_ref().is_some_and(|known| known.has_role);
        if self.respects() && self.removal.as_ref().is_some_and(missed) {
            // An attempt missed it.
            return None;
        }
        match (self.wanted(), has_role) {
            (true, false) => Some(RoleChange::Granted),
            (false, true) if self.adopted() => Some(RoleChange::Revoked),
            _ => None,
        }
    }
}
