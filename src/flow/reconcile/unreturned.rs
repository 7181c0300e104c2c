//! The leases of attempts that ended while Postgres did not respond.
//!
//! Owns the list. Must never hold the lock on it across a call.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use uuid::Uuid;

/// A lease to give back.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) user: String,
    pub(super) id: Uuid,
    /// No attempt may start before, since a write without a response may still arrive.
    pub(super) not_before: Instant,
    /// End of the lease itself, at the latest.
    pub(super) until: Instant,
}

/// The leases to give back.
#[derive(Debug, Default)]
pub(super) struct Unreturned(Mutex<Vec<Lease>>);

impl Unreturned {
    pub(super) fn all(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
