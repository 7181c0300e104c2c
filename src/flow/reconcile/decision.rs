//! The decision of an attempt, as a value.
//!
//! Owns what the write and its record need to know of the decision. Must never decide.

use uuid::Uuid;

use super::attempt::Completed;
use super::plain_write::Remains;
use super::race::Races;
use rolekeeper_domain::held::Held;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::patch::Patch;
use rolekeeper_domain::plan::RoleChange;

/// The decision made after the profile was read.
pub(super) enum Decided {
    /// Recorded already: nothing to write, or the lease is lost.
    Nothing(Completed),
    /// The profile shows other links than the stored ones, which must be stored before a decision.
    OtherPerson(Vec<UserId<'static>>),
    /// An unexpected change: its brake must be asked, and the profile read again.
    Unasked(RoleChange),
    /// A write that is sent now.
    Write(Box<ToWrite>),
}

/// A write that was decided.
pub(super) struct ToWrite {
    pub(super) patch: Patch,
    pub(super) changes: Vec<Uuid>,
    /// The requested name that this write applies.
    pub(super) request: Option<Uuid>,
    /// The row of a write of roles, once it is attempted.
    pub(super) write: Option<Uuid>,
    pub(super) races: Races,
    pub(super) generation: i64,
    /// The changes left out of the plan.
    pub(super) braked: Held,
    /// Roles that another client removed and that the rules leave removed.
    pub(super) suppressed: Vec<String>,
    /// Missing roles of which it is not yet known whether another client removed them.
    pub(super) doubtful: Vec<String>,
    /// The part of a plain decision that its record stores.
    pub(super) plain: Option<Remains>,
}
