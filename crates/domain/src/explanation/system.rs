//! The state of the whole deployment that decides whether a change of one user is made now.
//!
//! Owns the values and their names in JSON. Must never name a user.

use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;

/// The state of the deployment at the time of the read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct System {
    /// The last event that is counted; null before the first.
    pub counted_to: Option<CountedTo>,
    /// The operator, or a worker, stopped all attempts and writes.
    pub paused: Option<Paused>,
    /// Writes are off.
    pub writes_off: Option<WritesOff>,
    /// Losses of streams that the operator has not accepted.
    pub losses: Vec<Loss>,
    /// The database knows fewer role changes than were announced, so no role is revoked.
    pub restored: bool,
    /// Engaged brakes.
    pub brakes: Vec<EngagedBrake>,
    /// A worker has shown a sign of life within the last 30 s.
    pub worker_alive: bool,
    /// Time since which users are compared with changed rules or limits, while this user was not compared yet.
    #[serde(with = "rfc3339::option")]
    pub to_be_compared_since: Option<OffsetDateTime>,
}

/// Position of the fold in `APP_EVENTS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountedTo {
    /// Stream sequence of the last counted message.
    pub stream_seq: i64,
    /// Time at which the stream stored it.
    #[serde(with = "rfc3339")]
    pub stored_at: OffsetDateTime,
}

/// The pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// Its start.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// The reason, if one was given.
    pub reason: Option<String>,
}

/// The limit `writes` is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WritesOff {
    /// Time of the change.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// The operator.
    pub by: String,
    /// The reason.
    pub why: String,
}

/// The loss of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The stream.
    pub stream: String,
    /// Kind of the loss.
    pub kind: String,
    /// Time at which the fold found it.
    #[serde(with = "rfc3339")]
    pub found_at: OffsetDateTime,
}

/// A brake that holds all changes of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngagedBrake {
    /// The word of the kind for `rolekeeper brake release`: `grants`, `revokes`, `restores`, `removals` or `gone`.
    pub changes: &'static str,
    /// Time since which it is engaged.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
}
