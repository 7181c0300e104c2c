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
use crate::store::brakes::{self, Locked};
use crate::store::{Claim, StoreError, Tx};
use rolekeeper_domain::brake::{Brake, BrakeLimits, Limits, Verdict, judge, word};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::plan::RoleChange;

/// Period for which a count of changes serves attempts that expect no change.
const COUNT_SERVES: Duration = Duration::from_secs(1);

/// Most changes that a count allows without asking.
const UNASKED: i64 = 16;
/// Most users that the report of an engaged brake counts.
const REPORTED_AT_MOST: i64 = 100_000;

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
            direction.users.insert(self.user.clone());
        }
        room > 0
    }

    /// Asks for permission to make the changes that our own records expect; the transaction has locked the users. Returns a
    /// permission for each user, in order.
    pub(super) async fn ask_ahead(
        context: &Context,
        tx: &mut Tx<'_>,
        users: &[(&Claim, &Evaluation<'_>)],
    ) -> Result<Vec<Self>, StoreError> {
        let of = |claim: &Claim| Self {
            passing: Arc::clone(&context.passing),
            user: claim.user.as_str().to_owned(),
            asked: vec![],
            engaged: vec![],
        };
        let mut permissions: Vec<Self> = users.iter().map(|(claim, _)| of(claim)).collect();
        // In shadow mode nothing is written, so nothing needs a brake; a loss or an import holds changes without one.
        for change in BOTH {
            let asks = |evaluation: &Evaluation<'_>| context.writes && !evaluation.holds(change);
            let mut expecting = Vec::new();
            let mut allowing = false;
            for ((claim, evaluation), permission) in users.iter().zip(&mut permissions) {
                if !asks(evaluation) {
                    continue;
                }
                if evaluation.expects(change) {
                    expecting.push((*claim, permission));
                } else {
                    allowing |= evaluation.allows(change);
                }
            }
            if !expecting.is_empty() {
                ask_all(context, tx, change, &mut expecting).await?;
            }
            if allowing {
                count_room(context, tx, change).await?;
            }
        }
        Ok(permissions)
    }

    /// Asks the brake of one direction. Locks it until the transaction ends.
    pub(super) async fn ask(
        &mut self,
        context: &Context,
        tx: &mut Tx<'_>,
        claim: &Claim,
        change: RoleChange,
    ) -> Result<(), StoreError> {
        ask_all(context, tx, change, &mut [(claim, self)]).await
    }

    fn note(&mut self, change: RoleChange, verdict: Verdict) {
        if verdict != Verdict::Pass {
            self.passing.of(change).users.remove(&self.user);
        }
        self.asked.push((change, verdict));
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
            let at_least = if changes < REPORTED_AT_MOST {
                ""
            } else {
                "at least "
            };
            let limits = limits.of(change);
            error!(
                change = change.as_str(),
                users = changes,
                holders,
                "brake engaged: {what} for {at_least}{changes} users inside {} s, of {holders} holders (limits: {} and {} %). All {what} \
                 are held. To inspect: rolekeeper brake; then: rolekeeper brake release {what}, or rolekeeper brake drop {what}",
                window.as_secs(),
                limits.number,
                limits.share * 100.0
            );
        }
    }
}

/// Asks the brake of one direction for several users: once for all of them while all may pass, and one by one where the
/// brake is about to engage. Locks the brake until the transaction ends.
async fn ask_all(
    context: &Context,
    tx: &mut Tx<'_>,
    change: RoleChange,
    users: &mut [(&Claim, &mut Permission)],
) -> Result<(), StoreError> {
    if users.len() > 1 {
        if ask_once(context, tx, change, users).await? != Verdict::Engage {
            return Ok(());
        }
        for (_, permission) in users.iter() {
            context.passing.of(change).users.remove(&permission.user);
        }
    }
    for user in users {
        ask_once(context, tx, change, std::slice::from_mut(user)).await?;
    }
    Ok(())
}

/// Asks the brake for users who get one verdict, since the count includes all of them; those whom the operator released
/// pass in any case. Only one user alone engages the brake: for several the verdict is not noted then.
async fn ask_once(
    context: &Context,
    tx: &mut Tx<'_>,
    change: RoleChange,
    users: &mut [(&Claim, &mut Permission)],
) -> Result<Verdict, StoreError> {
    let asking = i64::try_from(users.len()).unwrap_or(i64::MAX);
    let lock = brakes::lock(tx, change, context.brake.window, asking).await?;
    let limits = context.brake.of(change);
    for (_, permission) in users.iter() {
        let mut direction = context.passing.of(change);
        direction.users.insert(permission.user.clone());
    }
    let (mut changes, mut holders) = (0, 0);
    let brake = if lock.engaged { Brake::Engaged } else { Brake::Free };
    if brake == Brake::Free && users.iter().any(|(claim, _)| !claim.passes(change)) {
        (changes, holders) = count(context, tx, &lock, change, limits).await?;
    }
    let verdict = judge(limits, brake, changes, holders);
    let mut engaged = None;
    if verdict == Verdict::Engage {
        if users.len() > 1 {
            return Ok(verdict);
        }
        // The report for the operator names all changes, as far as counting them takes no minutes.
        let passing = context.passing.users(change);
        let unseen = unseen(context);
        let changes = lock.changing(tx, &passing, REPORTED_AT_MOST, unseen).await?;
        lock.engage(tx, changes).await?;
        engaged = Some(Engaged {
            change,
            changes,
            holders,
        });
    }
    for (claim, permission) in users {
        if claim.passes(change) {
            permission.note(change, judge(limits, Brake::Released, 0, 0));
        } else {
            permission.engaged.extend(engaged.take());
            permission.note(change, verdict);
        }
    }
    Ok(verdict)
}

/// Changes that another worker, frozen until now, may still decide: its attempts in flight, and what it was allowed without
/// asking.
fn unseen(context: &Context) -> i64 {
    i64::from(context.slots.most()) + UNASKED
}

/// Numbers of users that change inside the window, and of holders as far as they matter: bounds where these are below the
/// limits, otherwise counts.
async fn count(
    context: &Context,
    tx: &mut Tx<'_>,
    lock: &Locked,
    change: RoleChange,
    limits: Limits,
) -> Result<(i64, i64), StoreError> {
    let below = |enough: i64| lock.bound().filter(|bound| *bound < enough);
    if let Some(bound) = below(limits.enough(None)) {
        return Ok((bound, 0));
    }
    let holders = lock.holders(tx).await?;
    let enough = limits.enough(Some(holders));
    if let Some(bound) = below(enough) {
        return Ok((bound, holders));
    }
    // The count does not cover what was allowed without asking.
    context.passing.of(change).room = None;
    let passing = context.passing.users(change);
    let unseen = unseen(context);
    Ok((lock.changing(tx, &passing, enough, unseen).await?, holders))
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
        let changes = match seen.bound() {
            Some(bound) if bound < enough => bound,
            _ => {
                let passing = context.passing.users(change);
                seen.changing(tx, &passing, enough, unseen(context)).await?
            }
        };
        // A change above the number limit is asked for; the share limit only allows more.
        (enough - 1 - changes).clamp(0, UNASKED)
    };
    if room > 0 {
        brakes::permit(tx, change, room).await?;
    }
    context.passing.of(change).room = Some((room, Instant::now()));
    Ok(())
}
