//! Whether rows of users were found locked by another client of Postgres.
//!
//! Owns when such rows are looked for before a transaction needs them, so that only the first of them costs a wait for a lock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time for which locked rows are looked for after the last ones: longer than the longest wait of their users.
const WATCHED_FOR: Duration = Duration::from_mins(2);

/// Whether a row was found locked lately.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<Option<Instant>>);

impl Locks {
    /// A row was found locked. Returns true if locked rows were not looked for until now.
    pub(super) fn found(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let are_watched = is_recent(*last);
        *last = Some(Instant::now());
        !are_watched
    }

    /// Locked rows are looked for.
    pub(super) fn are_watched(&self) -> bool {
        is_recent(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_recent(last: Option<Instant>) -> bool {
    last.is_some_and(|last| last.elapsed() < WATCHED_FOR)
}
