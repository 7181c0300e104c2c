//! The result of a replay.
//!
//! Owns its values. Must never hold more of one user than a bounded number of rows.

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use crate::rule::Measure;

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report<'r> {
    /// Users who crossed a threshold, in the order of their first crossing.
    pub users: Vec<User<'r>>,
    /// Crossings upwards of all users.
    pub up: u64,
    /// Crossings downwards of all users.
    pub down: u64,
    /// Roles that the rules would have granted.
    pub grants: u64,
    /// Roles that the rules would have revoked.
    pub revokes: u64,
    /// Changes of a role that take back the change before.
    pub flaps: u64,
    /// The hour with the most changes.
    pub busiest: Option<Busiest>,
    /// Facts that the events do not tell.
    pub unknown: Unknown,
}

/// A user who crossed a threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct User<'r> {
    /// Auth0 user id; the primary of a person with linked accounts.
    pub user_id: String,
    /// The first crossings.
    pub crossings: Vec<Crossing>,
    /// The first changes of roles.
    pub changes: Vec<Change<'r>>,
    /// All crossings.
    pub crossed: u64,
    /// All changes of roles.
    pub changed: u64,
    /// Changes of a role that take back the change before.
    pub flaps: u64,
    /// The counts lack a playlist whose count is not known: there may be fewer crossings, or others.
    pub uncertain: bool,
}

/// An event that carried a user's count over a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crossing {
    /// When the stream stored the event.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The publisher's id of the event; shared with the changes that it caused.
    pub event_id: Arc<str>,
    /// Its sequence in the stream.
    pub stream_seq: u64,
    /// The measured count.
    pub of: Measure,
    /// The count after the event.
    pub plays: i64,
    /// The count rose; else it fell.
    pub up: bool,
}

/// A role that the rules would have granted or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<'r> {
    /// When the rules would have decided it.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The role.
    pub role: &'r str,
    /// Granted; else revoked.
    pub granted: bool,
    /// The event that caused it; none where `grace` or `min_hold` ended.
    pub event_id: Option<Arc<str>>,
}

/// The hour with the most changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Busiest {
    /// Its start.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Changes in it.
    pub changes: u64,
}

/// Facts that the events do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Playlists whose count before their first deletion is not known.
    pub before_deletion: u64,
    /// Playlists whose present state does not follow from the events.
    pub unclear: u64,
    /// Playlists whose present count is not that of the events, although the events are complete.
    pub shifted: u64,
    /// Playlists whose count may have been set to 0 between the events.
    pub maybe_forgiven: u64,
    /// Playlists with a retraction that may repeat one from before the events.
    pub maybe_repeated: u64,
    /// Playlists whose owner before their first saving is taken to be the one that it names.
    pub owner_assumed: u64,
    /// Roles of users whose count began between `revoke_below` and `grant_at`.
    pub began_between: u64,
}
