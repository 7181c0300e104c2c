//! Dead letters.
//!
//! Owns the values. Must never have the message itself.

use serde::Serialize;
use time::OffsetDateTime;

use super::{Capped, seconds, seconds_if_any};

/// A dead letter without its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its key, as one word.
    pub key: String,
    /// Name of the stream.
    pub stream: String,
    /// Sequence of the message.
    pub seq: i64,
    /// Time at which the stream stored the message.
    #[serde(serialize_with = "seconds")]
    pub stored_at: OffsetDateTime,
    /// Subject of the message.
    pub subject: String,
    /// Reason from the closed list.
    pub reason: String,
    /// The fault.
    pub detail: String,
    /// Size of the whole message.
    pub size_bytes: i64,
    /// Size of its stored part.
    pub kept_bytes: usize,
    /// Time at which the fold read it.
    #[serde(serialize_with = "seconds")]
    pub kept_at: OffsetDateTime,
    /// Host and process id of the worker that stored it.
    pub kept_by: Option<String>,
    /// How it was handled; null while it waits.
    pub handled: Option<String>,
    /// Time at which it was handled.
    #[serde(serialize_with = "seconds_if_any")]
    pub handled_at: Option<OffsetDateTime>,
}

/// The number of letters of one stream and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LetterCount {
    /// All messages that became a dead letter in the time of retention.
    pub found: i64,
    /// The reason.
    pub reason: String,
    /// Name of the stream.
    pub stream: String,
    /// Letters that wait for the operator, up to the bound.
    pub waiting: i64,
    /// More wait than the bound.
    pub waiting_capped: bool,
}

impl LetterCount {
    /// The letters that wait.
    #[must_use]
    pub fn shown(&self) -> Capped {
        Capped {
            number: self.waiting,
            capped: self.waiting_capped,
        }
    }
}

/// The counts, and a page of the letters that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LetterPage {
    /// The numbers by stream and reason.
    pub counts: Vec<LetterCount>,
    /// The letters, in the order of their keys.
    pub letters: Vec<Letter>,
    /// There are more behind the last one.
    pub more: bool,
}
