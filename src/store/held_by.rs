//! The reason why a user is held for the operator.
//!
//! Owns the marks in `work_queue.held_by` and `work_queue.last_held_by`. Must never hold a user itself.

use rolekeeper_domain::plan::RoleChange;

/// Mark of users held by the brake on deleted users.
pub(super) const GONE_HELD: &str = "brake_gone";

/// Marks of users held by one brake, and of those held by both.
pub(super) fn marks(change: RoleChange) -> [&'static str; 2] {
    let one = match change {
        RoleChange::Granted => "brake_grants",
        RoleChange::Revoked => "brake_revokes",
    };
    [one, "brake_both"]
}

/// Reason why changes of a user are held until the operator acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::StreamLoss => "stream_loss",
            Self::Import => "import",
            Self::Brake(RoleChange::Revoked) => "brake_revokes",
            Self::Brake(RoleChange::Granted) => "brake_grants",
            Self::BothBrakes => "brake_both",
            Self::GoneBrake => GONE_HELD,
        }
    }
}
