//! The known facts about races: writes of other clients, races and restores.
//!
//! Owns the values. Must never decide, nor know how they are stored.

use std::collections::BTreeSet;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::merge::{OurWrite, State};

/// A known write of another client.
#[derive(Clone, Debug)]
pub struct Theirs {
    /// `log_id`, or another unique name of the record.
    pub record: String,
    /// State after the write.
    pub state: State,
    /// Id by which Auth0 can confirm the record.
    pub log_id: Option<String>,
    /// The client that wrote, by the record.
    pub client: Option<String>,
    /// Auth0 returned the same record.
    pub confirmed: bool,
}

/// A race to store.
#[derive(Clone, Copy, Debug)]
pub struct Race<'a> {
    /// Id of our write.
    pub write: Uuid,
    /// Our write.
    pub ours: &'a OurWrite,
    /// The other client's record.
    pub record: &'a str,
    /// State after the other client's write.
    pub theirs: &'a State,
    /// The profile when the race was examined.
    pub found: &'a State,
    /// The roles after restoring the other client's change.
    pub merged: Option<&'a [String]>,
    /// The brake holds the restore; otherwise it is about to be sent.
    pub held: bool,
}

/// Known races of one user.
#[derive(Debug, Default)]
pub struct KnownRaces {
    /// Settled pairs of our write and the other client's record.
    pub settled: BTreeSet<(Uuid, String)>,
    /// Time of the profile when a race was last left to the operator.
    pub given_up_at: Option<OffsetDateTime>,
    /// An open race is older than the longest wait for a record.
    pub overdue: bool,
    /// The operator released an open race from the brake.
    pub released: bool,
}

/// A role of another client that is restored or removed again, because our write had overwritten that client's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The role.
    pub role: String,
    /// Whether the role is restored; otherwise it is removed.
    pub added: bool,
    /// The client that made the change.
    pub client: Option<String>,
    /// The confirmed record of that change.
    pub log_id: Option<String>,
}
