//! Why a user waits for a person.
//!
//! Owns the marks in `nominations.held` and `nominations.held_last`. Must never hold anyone itself.

use rolekeeper_domain::plan::Change;

/// The mark of users held by the brake on users who are gone.
pub(super) const GONE_HELD: &str = "brake_gone";

/// What keeps changes of a user until a person acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// A stream's loss stands: revokes wait.
    StreamLoss,
    /// The brake of these changes is engaged.
    Brake(Change),
    /// Both brakes are.
    BothBrakes,
    /// The brake on users who are gone is engaged.
    GoneBrake,
}

impl HeldBy {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::StreamLoss => "stream_loss",
            Self::Brake(Change::Revoked) => "brake_revokes",
            Self::Brake(Change::Granted) => "brake_grants",
            Self::BothBrakes => "brake_both",
            Self::GoneBrake => GONE_HELD,
        }
    }
}
