//! Permission to change roles, obtained from the brakes before the profile is read.
//!
//! Owns which changes an attempt may make, and the report of a brake that engages. Must never ask between a read and its
//! write: asking waits for a brake's lock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use super::context::Context;
use super::passing::Passing;
use crate::store::{Claim, StoreError, Tx, brakes};
use rolekeeper_domain::brake::{Brake, BrakeLimits, Verdict, judge, word};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::RoleChange;

/// Period for which a count of changes serves attempts that expect no change.
const COUNT_SERVES: Duration = Duration::from_secs(1);

/// Both directions, grants first as everywhere.
const BOTH: [RoleChange; 2] = [RoleChange::Granted, RoleChange::Revoked];

/// A brake that has just engaged.
#[derive(Debug)]
struct Engaged {
    change: RoleChange,
    changes: i64,
    holders: i64,
}

/// The changes that one attempt may make. The attempt counts as changing until this is dropped.
#[derive(Debug)]
pub(super) struct Permission {
    passing: Arc<Passing>,
    user: String,
    asked: Vec<(RoleChange, Verdict)>,
    /// Brakes that this user has engaged.
    engaged: Vec<Engaged>,
}

impl Drop for Permission {
    fn drop(&mut self) {
        for change in BOTH {
            self.passing.of(change).users.remove(&self.user);
        }
    }
}

impl Permission {
    /// Whether our own records expect a change.
    pub(super) fn expects(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The brake's verdict; none when the brake was not asked.
    pub(super) fn verdict(&self, change: RoleChange) -> Option<Verdict> {
        let asked = self.asked.iter().find(|(asked, _)| *asked == change);
        asked.map(|(_, verdict)| *verdict)
    }

    /// Lets an unexpected change pass while the count is far from the brake. Otherwise the brake must be asked.
    pub(super) fn passes_unasked(&self, change: RoleChange) -> bool {
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

    /// Asks for permission to make the changes that our own records expect; the transaction has locked the user.
    pub(super) async fn ask_ahead(
        context: &Context,
        tx: &mut Tx<'_>,
        claim: &Claim,
        evaluation: &Evaluation<'_>,
    ) -> Result<Self, StoreError> {
        let mut permission = Self {
            passing: Arc::clone(&context.passing),
            user: claim.user.as_str().to_owned(),
            asked: vec![],
            engaged: vec![],
        };
        // In shadow mode nothing is written, so nothing needs a brake; a loss holds revokes without one.
        for change in BOTH {
            if !context.writes || (change == RoleChange::Revoked && evaluation.loss) {
                continue;
            }
            if evaluation.expects(change) {
                permission.ask(&context.brake, tx, claim, change).await?;
            } else if evaluation.allows(change) {
                count_room(context, tx, change).await?;
            }
        }
        Ok(permission)
    }

    /// Asks the brake of one direction. Locks it until the transaction ends.
    pub(super) async fn ask(
        &mut self,
        limits: &BrakeLimits,
        tx: &mut Tx<'_>,
        claim: &Claim,
        change: RoleChange,
    ) -> Result<(), StoreError> {
        let lock = brakes::lock(tx, change, limits.window).await?;
        let limits = limits.of(change);
        let (mut changes, mut holders) = (0, 0);
        let brake = match (claim.passes(change), lock.engaged) {
            (true, _) => Brake::Released,
            (false, true) => Brake::Engaged,
            (false, false) => Brake::Free,
        };
        self.passing.of(change).permit(&self.user);
        if brake == Brake::Free {
            changes = self.passing.count(tx, &lock, limits.enough(None)).await?;
            if changes >= limits.enough(None) {
                holders = lock.holders(tx).await?;
                let enough = limits.enough(Some(holders));
                changes = self.passing.count(tx, &lock, enough).await?;
            }
        }
        let verdict = judge(limits, brake, changes, holders);
        if verdict != Verdict::Pass {
            self.passing.of(change).users.remove(&self.user);
        }
        if verdict == Verdict::Engage {
            // The report for the operator names all changes, so they are counted in full, once.
            let (passing, _) = self.passing.of(change).bound(lock.waiting);
            let changes = lock.changing(tx, &passing, i64::MAX).await?.all;
            lock.engage(tx, changes).await?;
            self.engaged.push(Engaged {
                change,
                changes,
                holders,
            });
        }
        self.asked.push((change, verdict));
        Ok(())
    }

    /// Reports the brakes that this user has engaged, once each, after the transaction is committed.
    pub(super) fn report_engaged(&mut self, limits: &BrakeLimits) {
        for Engaged {
            change,
            changes,
            holders,
        } in std::mem::take(&mut self.engaged)
        {
            let (what, window) = (word(change), limits.window);
            let limits = limits.of(change);
            error!(
                change = change.as_str(),
                users = changes,
                holders,
                "brake engaged: {what} for {changes} users inside {} s, of {holders} holders (limits: {} and {} %). All {what} \
                 are held. To inspect: rolekeeper brake; then: rolekeeper brake release {what}, or rolekeeper brake drop {what}",
                window.as_secs(),
                limits.number,
                limits.share * 100.0
            );
        }
    }
}

/// Counts how many changes are allowed without asking, unless the count is recent.
async fn count_room(context: &Context, tx: &mut Tx<'_>, change: RoleChange) -> Result<(), StoreError> {
    let room = context.passing.of(change).room;
    if room.is_some_and(|(_, at)| at.elapsed() < COUNT_SERVES) {
        return Ok(());
    }
    let enough = context.brake.of(change).enough(None);
    let seen = brakes::seen(tx, change, context.brake.window).await?;
    let room = if seen.engaged {
        0
    } else {
        // A change above the number limit is asked for; the share limit only allows more.
        enough - 1 - context.passing.count(tx, &seen, enough).await?
    };
    context.passing.of(change).room = Some((room, Instant::now()));
    Ok(())
}
