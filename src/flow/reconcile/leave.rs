//! Permission to change roles, obtained from the brakes before the profile is read.
//!
//! Owns which changes an attempt may make, and which permitted changes have no audit row yet. Those count too;
//! otherwise all attempts in flight could pass a brake together. Must never ask between a read and its write: asking
//! waits for a brake's lock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Reconcile;
use crate::store::brakes::{self, Locked};
use crate::store::{Claim, StoreError, Tx};
use rolekeeper_domain::brake::{Brake, Verdict, judge};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::Change;

/// Period for which a count of changes serves attempts that expect no change.
const COUNT_SERVES: Duration = Duration::from_secs(1);

/// As many changes of another worker may be missing in a count.
#[expect(clippy::cast_possible_wrap, reason = "a small constant")]
const IN_FLIGHT: i64 = super::MAX_IN_FLIGHT as i64;

/// Both directions, grants first as everywhere.
const BOTH: [Change; 2] = [Change::Granted, Change::Revoked];

/// Changes that this worker lets pass, by direction.
#[derive(Debug, Default)]
pub(super) struct Passing([Mutex<Direction>; 2]);

#[derive(Debug, Default)]
struct Direction {
    /// Users with permission whose change is not decided yet.
    users: BTreeSet<String>,
    /// At least the changes decided inside the window: the last count, and the permissions since. `None` before the
    /// first count.
    decided: Option<i64>,
    /// Number of further changes allowed without asking, and the time of the count.
    room: Option<(i64, Instant)>,
}

impl Passing {
    fn of(&self, change: Change) -> MutexGuard<'_, Direction> {
        let direction = &self.0[usize::from(change == Change::Revoked)];
        direction.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A brake that has just engaged.
#[derive(Debug)]
pub(super) struct Engaged {
    pub(super) change: Change,
    pub(super) changes: i64,
    pub(super) holders: i64,
}

/// The changes that one attempt may make. The attempt counts as changing until this is dropped.
#[derive(Debug)]
pub(super) struct Leave {
    passing: Arc<Passing>,
    user: String,
    asked: Vec<(Change, Verdict)>,
    /// Brakes that this user has engaged.
    engaged: Vec<Engaged>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        for change in BOTH {
            self.passing.of(change).users.remove(&self.user);
        }
    }
}

impl Leave {
    /// Whether our own records expect a change.
    pub(super) fn expects(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The brake's verdict; none when the brake was not asked.
    pub(super) fn verdict(&self, change: Change) -> Option<Verdict> {
        let asked = self.asked.iter().find(|(asked, _)| *asked == change);
        asked.map(|(_, verdict)| *verdict)
    }

    /// Takes the brakes that this user has engaged, so that they are reported once.
    pub(super) fn take_engaged(&mut self) -> Vec<Engaged> {
        std::mem::take(&mut self.engaged)
    }

    /// Lets an unexpected change pass while the count is far from the brake. Otherwise the brake must be asked.
    pub(super) fn passes_unasked(&self, change: Change) -> bool {
        let mut direction = self.passing.of(change);
        let Some((room, counted_at)) = direction.room else {
            return false;
        };
        if room > 0 {
            direction.room = Some((room - 1, counted_at));
            direction.permit(&self.user);
        }
        room > 0
    }
}

impl Direction {
    fn permit(&mut self, user: &str) {
        self.users.insert(user.to_owned());
        self.decided = self.decided.map(|decided| decided.saturating_add(1));
    }

    /// An upper bound on the users that change inside the window, without reading them: a user may count twice.
    fn bound(&self, waiting: i64) -> Option<i64> {
        let passing = i64::try_from(self.users.len()).unwrap_or(i64::MAX);
        Some(self.decided?.saturating_add(waiting).saturating_add(passing))
    }

    /// Notes a count. A worker that was frozen may still decide the attempts that it had in flight.
    fn counted(&mut self, decided: i64) {
        self.decided = Some(decided.saturating_add(IN_FLIGHT));
    }
}

impl Reconcile {
    /// Asks for permission to make the changes that our own records expect; the transaction has locked the user.
    pub(super) async fn ask_ahead(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        standing: &Evaluation<'_>,
    ) -> Result<Leave, StoreError> {
        let mut leave = Leave {
            passing: Arc::clone(&self.passing),
            user: claim.user.as_str().to_owned(),
            asked: vec![],
            engaged: vec![],
        };
        // In shadow mode nothing is written, so nothing needs a brake; a loss holds revokes without one.
        for change in BOTH {
            if !self.writes || (change == Change::Revoked && standing.loss) {
                continue;
            }
            if standing.expects(change) {
                self.ask(tx, claim, change, &mut leave).await?;
            } else if standing.allows(change) {
                self.count_room(tx, change).await?;
            }
        }
        Ok(leave)
    }

    /// Asks the brake of one direction. Locks it until the transaction ends.
    pub(super) async fn ask(
        &self,
        tx: &mut Tx<'_>,
        claim: &Claim,
        change: Change,
        leave: &mut Leave,
    ) -> Result<(), StoreError> {
        let limits = self.brake.of(change);
        let lock = brakes::lock(tx, change, self.brake.window).await?;
        let (mut changes, mut holders) = (0, 0);
        let brake = match (claim.passes(change), lock.engaged) {
            (true, _) => Brake::Released,
            (false, true) => Brake::Engaged,
            (false, false) => Brake::Free,
        };
        let (passing, bound) = {
            let mut direction = self.passing.of(change);
            direction.permit(&leave.user);
            let passing = direction.users.iter().cloned().collect::<Vec<_>>();
            (passing, direction.bound(lock.waiting))
        };
        if brake == Brake::Free {
            changes = self
                .count(tx, &lock, &passing, bound, limits.enough(None))
                .await?;
            if changes >= limits.enough(None) {
                holders = lock.holders(tx).await?;
                let enough = limits.enough(Some(holders));
                changes = self.count(tx, &lock, &passing, bound, enough).await?;
            }
        }
        let verdict = judge(limits, brake, changes, holders);
        if verdict != Verdict::Pass {
            self.passing.of(change).users.remove(&leave.user);
        }
        if verdict == Verdict::Engage {
            // The report for the operator names all changes, so they are counted in full, once.
            let changes = lock.changing(tx, &passing, i64::MAX).await?.all;
            lock.engage(tx, changes).await?;
            leave.engaged.push(Engaged {
                change,
                changes,
                holders,
            });
        }
        leave.asked.push((change, verdict));
        Ok(())
    }

    /// Number of users that change inside the window, or an upper bound of it below `enough`.
    async fn count(
        &self,
        tx: &mut Tx<'_>,
        lock: &Locked,
        passing: &[String],
        bound: Option<i64>,
        enough: i64,
    ) -> Result<i64, StoreError> {
        if let Some(bound) = bound.filter(|bound| *bound < enough) {
            return Ok(bound);
        }
        let counted = lock.changing(tx, passing, enough).await?;
        self.passing.of(lock.change).counted(counted.decided);
        Ok(counted.all)
    }

    /// Counts how many changes are allowed without asking, unless the count is recent.
    async fn count_room(&self, tx: &mut Tx<'_>, change: Change) -> Result<(), StoreError> {
        let recent =
            |direction: &Direction| direction.room.is_some_and(|(_, at)| at.elapsed() < COUNT_SERVES);
        if recent(&self.passing.of(change)) {
            return Ok(());
        }
        let enough = self.brake.of(change).enough(None);
        let seen = brakes::seen(tx, change, self.brake.window).await?;
        let (passing, bound) = {
            let direction = self.passing.of(change);
            (
                direction.users.iter().cloned().collect::<Vec<_>>(),
                direction.bound(seen.waiting),
            )
        };
        let room = if seen.engaged {
            0
        } else {
            // A change above the number limit is asked for; the share limit only allows more.
            enough - 1 - self.count(tx, &seen, &passing, bound, enough).await?
        };
        self.passing.of(change).room = Some((room, Instant::now()));
        Ok(())
    }
}
