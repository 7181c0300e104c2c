//! The state that the tenant's tasks share.
//!
//! Owns its lock. It must never be locked during a wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::options::TenantOptions;
use super::state::State;

/// State that the tenant's tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub options: TenantOptions,
    pub started: Instant,
    pub state: Mutex<State>,
    /// Notified when records may have been logged.
    pub logged: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held the lock must not stop the tenant's other clients.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the latency of this call, on the network and in the tenant.
    pub(super) fn latency(&self) -> Duration {
        self.lock().rng.random_range(self.options.latency.clone())
    }
}
