//! First step: the claim of due users.
//!
//! Owns the first transaction: the leases, the end of users who need nothing by our own records, and the permission for
//! the expected changes. Must never make a call.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use super::attempt::Attempt;
use super::context::Context;
use super::permission::Permission;
use super::persons;
use crate::flow::backoff::base_delay;
use crate::flow::permit::Permit;
use crate::store::work_queue::Order;
use crate::store::{Claim, StoreError, Tx, assignments, brakes, erasures, leases, pins};
use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::held::Held;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::schedule::DENIED_AT_MOST;

/// Claimed users, in the transaction of the claim.
pub(super) struct Claimed {
    tx: Tx<'static>,
    claims: Vec<Claim>,
    lease_ends: Instant,
}

/// The result of a claim.
#[derive(Default)]
pub(super) struct Begun {
    /// The attempts of those who need one.
    pub(super) attempts: Vec<Attempt>,
    /// Number of users who needed none.
    pub(super) unneeded: usize,
    /// Priority of a user with nothing but held changes.
    pub(super) held: Option<i16>,
    /// Nothing was claimed: these users must be claimed one by one, since the stored data of one of them cannot be used.
    pub(super) one_by_one: usize,
}

/// How a claim without an attempt ends.
enum Unneeded {
    /// The user is up to date, or not decided here.
    Done,
    /// Only held changes remain.
    Held,
    /// The id is linked to this primary.
    Linked(String),
}

/// Claims at most `most` due users; none if no user is due. Users queued by records alone are taken only with `by_record`.
pub(super) async fn due_users(
    context: &Context,
    (by_record, order, most): (bool, Order, usize),
) -> Result<Option<Claimed>, StoreError> {
    let (lease, lease_for) = (Uuid::now_v7(), context.lease());
    // Measured before Postgres starts to count the lease.
    let lease_ends = Instant::now() + lease_for;
    let mut tx = context.store.begin_look_ups().await?;
    let (rules, most) = (&context.fingerprint, i64::try_from(most).unwrap_or(1));
    let claims = leases::claim(&mut tx, lease, lease_for, rules, (by_record, order, most)).await?;
    Ok((!claims.is_empty()).then_some(Claimed {
        tx,
        claims,
        lease_ends,
    }))
}

impl Claimed {
    pub(super) fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// Priority of the first user at the claim.
    pub(super) fn priority(&self) -> i16 {
        self.claims.first().map_or(0, |claim| claim.priority)
    }

    /// Begins the attempts of the users who need one, each with one of the permits; a user who is up to date is done
    /// without a call.
    pub(super) async fn begin(
        self,
        context: &Arc<Context>,
        permits: &mut Vec<Permit>,
    ) -> Result<Begun, StoreError> {
        let Self {
            tx,
            mut claims,
            lease_ends,
        } = self;
        let permissions = match settle_unseen(context, tx, &mut claims).await {
            Ok(permissions) => permissions,
            // They are still due, and the next claim looks for locked rows first.
            Err(why) if why.is_locked() && context.locks.found() => return Ok(Begun::default()),
            Err(why) if why.is_about_the_data() || why.is_locked() => {
                let begun = Begun {
                    one_by_one: claims.len(),
                    ..Begun::default()
                };
                let [claim] = claims.as_slice() else {
                    return Ok(begun);
                };
                cannot_start(context, claim, &why).await?;
                return Ok(Begun::default());
            }
            Err(why) => return Err(why),
        };
        let mut begun = Begun::default();
        for (claim, permission) in claims.into_iter().zip(permissions) {
            begun.unneeded += usize::from(permission.is_err());
            let permission = match permission {
                Ok(permission) => permission,
                Err(Unneeded::Done) => continue,
                Err(Unneeded::Held) => {
                    begun.held = Some(claim.priority);
                    continue;
                }
                Err(Unneeded::Linked(primary)) => {
                    match persons::pass_on(context, &claim, &primary).await {
                        Err(why) if why.is_locked() => context.postpone_locked(&claim).await?,
                        passed => passed?,
                    }
                    continue;
                }
            };
            // There is one for each claimed user.
            let Some(mut permit) = permits.pop() else {
                break;
            };
            if claim.by_record {
                permit.by_record();
            }
            begun.attempts.push(Attempt {
                context: Arc::clone(context),
                claim,
                permission,
                permit,
                person_kept: false,
                lease_ends,
            });
        }
        Ok(begun)
    }
}

/// Counts a failure of a user whose stored data cannot be used, and postpones one whose rows another transaction has locked. This
/// user alone is affected; other users must not wait.
async fn cannot_start(context: &Context, claim: &Claim, why: &StoreError) -> Result<(), StoreError> {
    warn!(user.id = claim.user.as_str(), "attempt not started: {why}");
    if why.is_locked() {
        return context.postpone_locked(claim).await;
    }
    let failures = u32::try_from(claim.attempts).unwrap_or(0) + 1;
    let why = format!("the stored data of the user cannot be used: {why}");
    let mut tx = context.store.begin().await?;
    let (user, wait) = (claim.user.as_str(), base_delay(failures));
    leases::failed_to_start(&mut tx, user, wait, &why, DENIED_AT_MOST).await?;
    tx.commit().await?;
    crash_point!("not_started");
    Ok(())
}

/// Ends attempts at once if our own records show that there is nothing to do. The other users stay claimed, with
/// permission for the expected changes.
async fn settle_unseen(
    context: &Context,
    mut tx: Tx<'static>,
    claims: &mut Vec<Claim>,
) -> Result<Vec<Result<Permission, Unneeded>>, StoreError> {
    context.give_back_locked(&mut tx, claims).await?;
    // Read after the claim, so that changes that waited for its lock are seen.
    let users: Vec<&str> = claims.iter().map(|claim| claim.user.as_str()).collect();
    let snapshots = context.snapshots(&mut tx, &users).await?;
    let mut settled = Vec::new();
    for (claim, snapshot) in claims.iter_mut().zip(snapshots) {
        let mut evaluation = context.evaluation(snapshot, None);
        let unneeded = settle(context, &mut tx, claim, &evaluation).await?;
        settled.push(if let Some(unneeded) = unneeded {
            Err(unneeded)
        } else {
            evaluation.forbid(&context.restores.forbidden);
            Ok(evaluation)
        });
    }
    let mut expected: Vec<_> = Vec::new();
    for (claim, evaluation) in claims.iter().zip(&settled) {
        if let Ok(evaluation) = evaluation {
            expected.push((claim, evaluation));
        }
    }
    let mut permissions = Permission::ask_ahead(context, &mut tx, &expected)
        .await?
        .into_iter();
    tx.commit().await.map_err(StoreError::from)?;
    crash_point!("claimed");
    let mut ends = Vec::new();
    for settled in settled {
        ends.push(match settled {
            Err(unneeded) => Err(unneeded),
            Ok(_) => permissions.next().ok_or(Unneeded::Done),
        });
    }
    for permission in ends.iter_mut().flatten() {
        permission.report_engaged(&context.brake);
    }
    Ok(ends)
}

/// Ends one attempt if our own records show that there is nothing to do.
async fn settle(
    context: &Context,
    tx: &mut Tx<'_>,
    claim: &mut Claim,
    evaluation: &Evaluation<'_>,
) -> Result<Option<Unneeded>, StoreError> {
    if evaluation.ended_pins {
        pins::remove_ended(tx, claim.user.as_str(), evaluation.now()).await?;
    }
    if evaluation.erasures
        && erasures::erased_again(tx, context.store.erasure_key(), claim.user.as_str()).await?
    {
        // A transaction that began before the erasure queued the user, or the operator did.
        return Ok(Some(Unneeded::Done));
    }
    if let Some(primary) = &evaluation.person.alias_of {
        // No profile of the primary shows that a moved id is an account again, so the id itself is read.
        let is_read = evaluation.person.moved_away && claim.force_fetch;
        return Ok((!is_read).then(|| Unneeded::Linked(primary.clone())));
    }
    let (name, debounce) = (evaluation.names.is_to_be_written(), evaluation.names.debounce);
    let debounced = name && !claim.force_fetch && evaluation.up_to_date() && debounce.is_some();
    claim.force_fetch |= name && !debounced;
    if claim.force_fetch || !evaluation.up_to_date() {
        let held = hold_unseen(context, tx, claim, evaluation).await?;
        return Ok(held.then_some(Unneeded::Held));
    }
    for role in &evaluation.roles {
        assignments::decided(tx, claim.user.as_str(), role).await?;
    }
    match debounce.filter(|_| debounced) {
        Some(debounce) => leases::again(tx, claim, debounce, false, None).await?,
        None => leases::finish(tx, claim, claim.generation, evaluation.again_at()).await?,
    }
    Ok(Some(Unneeded::Done))
}

/// Holds a user without a call when our own records show that only held changes remain.
async fn hold_unseen(
    context: &Context,
    tx: &mut Tx<'_>,
    claim: &Claim,
    evaluation: &Evaluation<'_>,
) -> Result<bool, StoreError> {
    let plain = context.writes
        && !claim.force_fetch
        && evaluation.open.is_empty()
        && evaluation.restores.is_empty()
        && evaluation.gone_at.is_none();
    let told = |role: &Role<'_>| role.up_to_date() || (role.pin.is_none() && role.pending_change().is_some());
    if !plain || !evaluation.roles.iter().all(told) {
        return Ok(false);
    }
    let pending_change = || evaluation.roles.iter().filter_map(Role::pending_change);
    let held = |change: RoleChange| evaluation.holds(change) || evaluation.engaged.contains(&change);
    if !pending_change().all(held) {
        return Ok(false);
    }
    // From here on under the brakes' locks, so that the operator cannot release them before this transaction ends.
    let engaged = brakes::engaged(tx).await?;
    let mut braked = Held::default();
    for change in pending_change() {
        if braked.without_brake(change, evaluation) {
            continue;
        }
        if !engaged.contains(&change) || claim.passes(change) {
            return Ok(false);
        }
        if !braked.brakes.contains(&change) {
            braked.brakes.push(change);
        }
    }
    let Some(why) = braked.by() else {
        return Ok(false);
    };
    for role in &evaluation.roles {
        let user = claim.user.as_str();
        if role.pending_change().is_some() {
            assignments::awaited(tx, user, role).await?;
        } else {
            assignments::decided(tx, user, role).await?;
        }
    }
    debug!(user.id = claim.user.as_str(), ?why, "held without an attempt");
    leases::hold(tx, claim, claim.generation, why, evaluation.again_at()).await?;
    Ok(true)
}
