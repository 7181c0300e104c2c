//! Changes that this worker lets pass and that have no audit row yet.
//!
//! Owns the users with permission for a change, how many further changes need no question, and an upper bound of all
//! changes. A brake counts these users too; otherwise all attempts in flight could pass it together. Must never forget a
//! user before the attempt ends.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::store::brakes::Locked;
use crate::store::{StoreError, Tx};
use rolekeeper_domain::plan::RoleChange;

/// Attempts in flight. At the fastest plan (50 calls a second) and a slow response (300 ms) this keeps up.
pub(super) const MAX_IN_FLIGHT: usize = 16;

/// Changes that this worker lets pass, by direction.
#[derive(Debug, Default)]
pub(super) struct Passing([Mutex<Direction>; 2]);

/// Changes of one direction that this worker lets pass.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Users with permission whose change is not decided yet.
    pub(super) users: BTreeSet<String>,
    /// At least the changes decided inside the window: the last count, and the permissions since. `None` before the
    /// first count.
    decided: Option<i64>,
    /// Number of further changes allowed without asking, and the time of the count.
    pub(super) room: Option<(i64, Instant)>,
}

impl Passing {
    pub(super) fn of(&self, change: RoleChange) -> MutexGuard<'_, Direction> {
        let direction = &self.0[usize::from(change == RoleChange::Revoked)];
        direction.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of users that change inside the window, these included, or an upper bound below `enough`. Only where the
    /// bound reaches `enough` are they counted, as far as that.
    pub(super) async fn count(
        &self,
        tx: &mut Tx<'_>,
        brake: &Locked,
        enough: i64,
    ) -> Result<i64, StoreError> {
        let (users, bound) = self.of(brake.change).bound(brake.waiting);
        if let Some(bound) = bound.filter(|bound| *bound < enough) {
            return Ok(bound);
        }
        let counted = brake.changing(tx, &users, enough).await?;
        self.of(brake.change).counted(counted.decided);
        Ok(counted.all)
    }
}

impl Direction {
    /// Notes permission for a user's change.
    pub(super) fn permit(&mut self, user: &str) {
        self.users.insert(user.to_owned());
        self.decided = self.decided.map(|decided| decided.saturating_add(1));
    }

    /// The users with permission, and an upper bound of the users that change inside the window while `waiting` wait. The
    /// bound reads no table, and may count a user twice.
    pub(super) fn bound(&self, waiting: i64) -> (Vec<String>, Option<i64>) {
        let users: Vec<String> = self.users.iter().cloned().collect();
        let passing = i64::try_from(users.len()).unwrap_or(i64::MAX);
        let bound = |decided: i64| decided.saturating_add(waiting).saturating_add(passing);
        (users, self.decided.map(bound))
    }

    /// Notes a count of the decided changes. A worker that was frozen may still decide what it had in flight.
    pub(super) fn counted(&mut self, decided: i64) {
        let in_flight = i64::try_from(MAX_IN_FLIGHT).unwrap_or(i64::MAX);
        self.decided = Some(decided.saturating_add(in_flight));
    }
}
