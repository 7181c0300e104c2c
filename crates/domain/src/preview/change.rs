//! The values of a preview: the changes of a user, with their marks.
//!
//! Owns the words of marks and of roles that stay. Must never decide.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::plan::RoleChange;

/// Facts of a user beside the snapshot: they decide nothing, and marks follow from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// All roles in the stored profile.
    pub roles: Vec<String>,
    /// The user waits for the operator, because attempts fail.
    pub parked: bool,
    /// The count oscillates around a threshold.
    pub flapping: bool,
    /// Changes of the last 24 hours that were made.
    pub changed: Vec<(String, RoleChange)>,
    /// Time of the worker's last read of the profile; none before the first.
    pub read_at: Option<OffsetDateTime>,
}

/// The preview of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previewed {
    /// The changes, if there are any.
    pub changes: Option<UserChanges>,
    /// Roles that stay although they may seem due for a change, with the reason.
    pub left: Vec<(String, Left)>,
}

/// The changes of one user: a line of a plan file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChanges {
    /// Auth0 user id.
    pub user: String,
    /// Digest of the facts that events and operators change, from which the changes follow.
    pub facts: String,
    /// Digest of the facts that the worker's read of the profile changes.
    pub read: String,
    /// The changes, in the order of the rules.
    pub changes: Vec<Change>,
}

/// The change of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The role.
    pub role: String,
    /// Whether the user would get or lose it.
    pub change: RoleChange,
    /// The count that the rule compares.
    pub plays: i64,
    /// The reason, for the operator.
    pub why: String,
    /// Circumstances that the operator should know.
    pub marks: Vec<Mark>,
}

/// A circumstance of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Of proposed rules: the change is due under the rules in force too.
    DueAlready,
    /// A pin decides.
    Pinned,
    /// Revokes are held because of the loss of a stream.
    HeldByLoss,
    /// An import of plays of the user is not released yet.
    HeldByImport,
    /// The brake on such changes is engaged.
    HeldByBrake,
    /// The opposite change was made in the last 24 hours, or the count oscillates around a threshold.
    WouldFlap,
    /// The rule has a condition, and no attempt has read the profile yet.
    ProfileUnknown,
    /// Another client removed the role, and the removal is not settled.
    RemovalOpen,
    /// The change was decided, and its result is not known.
    InFlight,
    /// The user waits for the operator, because attempts fail.
    Parked,
}

/// The reason why a role stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// Auth0 does not know the user.
    Gone,
    /// `FORBIDDEN_ROLES` lists the role.
    Forbidden,
    /// `grace` or `min_hold` keep it for now.
    Kept,
    /// The user holds it, and the condition cannot be judged before an attempt reads the profile.
    ProfileUnknown,
    /// The user holds it, and rolekeeper neither granted nor adopted it.
    Unadopted,
}

impl Mark {
    /// The words for the operator.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::DueAlready => "due already",
            Self::Pinned => "pinned",
            Self::HeldByLoss => "held by the loss of a stream",
            Self::HeldByImport => "held by an import",
            Self::HeldByBrake => "held by the brake",
            Self::WouldFlap => "would flap",
            Self::ProfileUnknown => "if the profile meets the conditions",
            Self::RemovalOpen => "another client removed it",
            Self::InFlight => "in flight",
            Self::Parked => "parked",
        }
    }
}

impl Left {
    /// The words for the operator, behind the number of users and the role.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Gone => "no change: Auth0 does not know the user",
            Self::Forbidden => "not granted: FORBIDDEN_ROLES lists the role",
            Self::Kept => "kept for now by grace or min_hold of the rule",
            Self::ProfileUnknown => "held, and decided again once an attempt has read the profile",
            Self::Unadopted => "held by an unadopted holder, so it stays: rolekeeper adopt",
        }
    }
}
