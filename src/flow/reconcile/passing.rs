//! Changes that this worker lets pass and that have no audit row yet.
//!
//! Owns the users with permission for a change, and how many further changes need no question. A brake counts these
//! changes too; otherwise all attempts in flight could pass it together. Must never forget a user before the attempt ends.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use rolekeeper_domain::plan::RoleChange;

/// Changes that this worker lets pass, by direction.
#[derive(Debug, Default)]
pub(super) struct Passing([Mutex<Direction>; 2]);

/// Changes of one direction that this worker lets pass.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Users with permission whose change is not decided yet.
    pub(super) users: BTreeSet<String>,
    /// Number of further changes allowed without asking, and the time of the count.
    pub(super) room: Option<(i64, Instant)>,
}

impl Passing {
    pub(super) fn of(&self, change: RoleChange) -> MutexGuard<'_, Direction> {
        let direction = &self.0[usize::from(change == RoleChange::Revoked)];
        direction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Users with permission whose change is not decided yet.
    pub(super) fn users(&self, change: RoleChange) -> Vec<String> {
        self.of(change).users.iter().cloned().collect()
    }

    /// Forgets at the start of a leadership what was allowed without asking: another worker may have decided since.
    pub(super) fn begin(&self) {
        for direction in &self.0 {
            direction.lock().unwrap_or_else(PoisonError::into_inner).room = None;
        }
    }
}
