//! The work queue.
//!
//! Owns the value. Must never count rows: its numbers come from counters.

use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::brakes::Drain;
use super::figures::span;
use crate::explanation::Queued;

/// The work queue at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queue {
    /// Time of the read, by Postgres' clock.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// Users in it, in whatever state.
    pub users: i64,
    /// Parked users.
    pub parked: i64,
    /// Users with held changes.
    pub held: i64,
    /// Users who wait for an attempt, and how fast attempts end.
    pub drain: Drain,
    /// The users whose attempts are next, the most urgent first.
    pub next: Vec<Queued>,
    /// A page of all users in it, by id.
    pub page: Vec<Queued>,
    /// There are more behind the last one of the page.
    pub more: bool,
}

impl Queue {
    /// The time until all have had their attempt, in words.
    #[must_use]
    pub fn remaining(&self) -> String {
        match (self.drain.waiting, self.drain.remaining_s) {
            (0, _) => "-".to_owned(),
            (_, Some(seconds)) => span(seconds as f64),
            (_, None) => "no attempt ends".to_owned(),
        }
    }
}
