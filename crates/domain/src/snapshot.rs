//! The snapshot of one user: all that a decision needs, as it was stored at one moment.
//!
//! Owns the values. Must never decide, nor know how they are stored.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::person::Person;
use crate::pin::Pin;
use crate::plan::RoleChange;
use crate::removal::Removal;
use crate::rule::Shown;

/// The snapshot of one user.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one user, each on its own")]
pub struct Snapshot {
    /// Counts of the playlists of the user and of all ids that are linked to the user.
    pub facts: Facts,
    /// The whole profile as Auth0 last showed it, as far as conditions use it; `None` if no rule has a condition, or no
    /// whole profile was read.
    pub shown: Option<Shown>,
    /// Decisions and seen state of each managed role.
    pub assignments: Vec<Assignment>,
    /// Pins of the user's roles, of all ids of the person, also ended ones.
    pub pins: Vec<Pin>,
    /// Missing roles whose cause is not settled.
    pub removals: Vec<Removal>,
    /// Decided changes with an unknown result, oldest first.
    pub open: Vec<OpenChange>,
    /// The requested display name.
    pub names: DisplayNameState,
    /// A write of ours to the roles has no response, or no attempt has recorded its result.
    pub unrecorded: bool,
    /// Other clients wrote the user's roles.
    pub foreign_writes: bool,
    /// A stream's loss is recorded, or the database lacks much of what was announced: counts may be too low, so no role
    /// is revoked.
    pub loss: bool,
    /// An import counts plays of the user, or is not released yet: no role is changed.
    pub importing: bool,
    /// Brakes engaged at the time of the read; the operator may release them at any time.
    pub engaged: Vec<RoleChange>,
    /// At least one user was erased, perhaps this one.
    pub erasures: bool,
    /// Time at which Auth0 reported the user as deleted, while that mark stands.
    pub gone_at: Option<OffsetDateTime>,
    /// The linked ids.
    pub person: Person,
}

impl Snapshot {
    /// The snapshot of a user of whom only the counts are known.
    #[must_use]
    pub fn of_facts(facts: Facts) -> Self {
        Self {
            facts,
            shown: None,
            assignments: vec![],
            pins: vec![],
            removals: vec![],
            open: vec![],
            names: DisplayNameState::default(),
            unrecorded: false,
            foreign_writes: false,
            loss: false,
            importing: false,
            engaged: vec![],
            erasures: false,
            gone_at: None,
            person: Person::default(),
        }
    }
}

/// Counts of a user's playlists, and the time of the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Plays of the most played playlist, never below 0.
    pub best: i64,
    /// Plays of all playlists together.
    pub total: i64,
    /// Current time by Postgres' clock.
    pub now: OffsetDateTime,
}

/// Stored state of one role of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Assignment {
    /// The role.
    pub role: String,
    /// The last decision of the rules.
    pub wanted: bool,
    /// Whether the profile had it when last read or written.
    pub has_role: bool,
    /// Rolekeeper may revoke it.
    pub adopted: bool,
    /// Time of the last change of `has_role`.
    pub since: OffsetDateTime,
    /// Time since which the user has been below the threshold while the role is kept.
    pub below_since: Option<OffsetDateTime>,
    /// Another client removed the role, or the operator dropped its grant from the brake, and it is left so.
    pub suppressed: bool,
    /// Whether it was verified recently.
    pub fresh: bool,
}

/// A decided change with an unknown result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenChange {
    /// Id of the row.
    pub id: Uuid,
    /// The role.
    pub role: String,
    /// Granted or restored; otherwise revoked or removed.
    pub granted: bool,
    /// A restore or removal of a role of another client.
    pub restore: bool,
}

/// Stored state of one user's display name beside the profile. A caller that holds the lock on the user's row in the
/// queue sees every request that enqueued the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplayNameState {
    /// The newest request that is not done, and its id.
    pub requested: Option<(Uuid, String)>,
    /// Auth0 refused a name of the user: none is sent for a while, or until the user requests another.
    pub refused: bool,
    /// The refusal was a moment ago, for this request or an older one: the next write goes without a name.
    pub refused_just_now: bool,
    /// Time until a name alone may cause another write.
    pub debounce: Option<Duration>,
}

impl DisplayNameState {
    /// Whether a requested name must be written.
    #[must_use]
    pub fn is_to_be_written(&self) -> bool {
        self.requested.is_some() && !self.refused
    }

    /// Whether no name may be sent now.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.refused || (self.refused_just_now && self.debounce.is_some())
    }

    /// Whether an attempt left out a requested name, to be written later.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.is_to_be_written() && self.waits()
    }
}
