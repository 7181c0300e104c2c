//! First step: the claim of a user.
//!
//! Owns the first transaction: the lease, the end of a user who needs nothing by our own records, and the permission for
//! the expected changes. Must never make a call.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use super::attempt::Attempt;
use super::brake::Braked;
use super::context::Context;
use super::permission::Permission;
use super::persons;
use crate::flow::backoff::base_delay;
use crate::flow::permit::Permit;
use crate::store::work_queue::Order;
use crate::store::{Claim, StoreError, Tx, assignments, brakes, erasures, leases};
use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::schedule::DENIED_AT_MOST;

/// A claimed user, in the transaction of the claim.
pub(super) struct Claimed {
    tx: Tx<'static>,
    claim: Claim,
    lease_ends: Instant,
}

/// The reason why a claimed user needs no attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unneeded {
    /// The user is up to date, or not decided here.
    Done,
    /// Only held changes remain.
    Held,
}

/// Claims the next due user; none if no user is due. Users queued by records alone are taken only with `by_record`.
pub(super) async fn next_user(
    context: &Context,
    (by_record, order): (bool, Order),
) -> Result<Option<Claimed>, StoreError> {
    let (lease, lease_for) = (Uuid::now_v7(), context.lease());
    // Measured before Postgres starts to count the lease.
    let lease_ends = Instant::now() + lease_for;
    let mut tx = context.store.begin().await?;
    let rules = &context.fingerprint;
    let claim = leases::claim(&mut tx, lease, lease_for, rules, (by_record, order)).await?;
    Ok(claim.map(|claim| Claimed {
        tx,
        claim,
        lease_ends,
    }))
}

impl Claimed {
    /// Priority of the user at the claim.
    pub(super) fn priority(&self) -> i16 {
        self.claim.priority
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Begins the attempt, if the user needs one; a user who is up to date is done without a call.
    pub(super) async fn begin(
        self,
        context: &Arc<Context>,
        mut permit: Permit,
    ) -> Result<Result<Attempt, Unneeded>, StoreError> {
        let Self {
            tx,
            mut claim,
            lease_ends,
        } = self;
        match settle_unseen(context, tx, &mut claim).await {
            Ok(Err(unneeded)) => Ok(Err(unneeded)),
            Ok(Ok(permission)) => {
                if claim.by_record {
                    permit.by_record();
                }
                Ok(Ok(Attempt {
                    context: Arc::clone(context),
                    claim,
                    permission,
                    permit,
                    person_kept: false,
                    lease_ends,
                }))
            }
            Err(why) if why.is_about_the_data() => {
                // This user alone is affected; other users must not wait.
                warn!(user.id = claim.user.as_str(), "attempt not started: {why}");
                let failures = u32::try_from(claim.attempts).unwrap_or(0) + 1;
                let why = format!("the stored data of the user cannot be used: {why}");
                let mut tx = context.store.begin().await?;
                let (user, wait) = (claim.user.as_str(), base_delay(failures));
                leases::failed_to_start(&mut tx, user, wait, &why, DENIED_AT_MOST).await?;
                tx.commit().await.map_err(StoreError::from)?;
                Ok(Err(Unneeded::Done))
            }
            Err(why) => Err(why),
        }
    }
}

/// Ends an attempt at once if our own records show that there is nothing to do. Otherwise the user stays claimed, with
/// permission for the expected changes.
async fn settle_unseen(
    context: &Context,
    mut tx: Tx<'static>,
    claim: &mut Claim,
) -> Result<Result<Permission, Unneeded>, StoreError> {
    // Read after the claim, so that changes that waited for its lock are seen.
    let mut evaluation = context.evaluate(&mut tx, claim.user.as_str(), None).await?;
    if evaluation.erasures
        && erasures::erased_again(&mut tx, context.store.erasure_key(), claim.user.as_str()).await?
    {
        // A transaction that began before the erasure queued the user, or the operator did.
        tx.commit().await.map_err(StoreError::from)?;
        return Ok(Err(Unneeded::Done));
    }
    if let Some(primary) = &evaluation.person.alias_of {
        tx.commit().await.map_err(StoreError::from)?;
        persons::pass_on(context, claim, primary).await?;
        return Ok(Err(Unneeded::Done));
    }
    let (name, debounce) = (evaluation.names.is_to_be_written(), evaluation.names.debounce);
    let debounced = name && !claim.force_fetch && evaluation.up_to_date() && debounce.is_some();
    claim.force_fetch |= name && !debounced;
    let settled = !claim.force_fetch && evaluation.up_to_date();
    if settled {
        for role in &evaluation.roles {
            let (name, decision) = (&role.rule.role, &role.decision);
            assignments::decided(
                &mut tx,
                claim.user.as_str(),
                name,
                decision.wanted,
                decision.below_since,
            )
            .await?;
        }
        match debounce.filter(|_| debounced) {
            Some(debounce) => leases::again(&mut tx, claim, debounce, false, None).await?,
            None => leases::finish(&mut tx, claim, claim.generation, evaluation.again_at()).await?,
        }
    }
    let held = !settled && hold_unseen(context, &mut tx, claim, &evaluation).await?;
    if settled || held {
        tx.commit().await.map_err(StoreError::from)?;
        return Ok(Err(if held { Unneeded::Held } else { Unneeded::Done }));
    }
    evaluation.forbid(&context.restores.forbidden);
    let mut permission = Permission::ask_ahead(context, &mut tx, claim, &evaluation).await?;
    tx.commit().await.map_err(StoreError::from)?;
    permission.report_engaged(&context.brake);
    Ok(Ok(permission))
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
    let held = |change: RoleChange| {
        (change == RoleChange::Revoked && evaluation.loss) || evaluation.engaged.contains(&change)
    };
    if !pending_change().all(held) {
        return Ok(false);
    }
    // From here on under the brakes' locks, so that the operator cannot release them before this transaction ends.
    let engaged = brakes::engaged(tx).await?;
    let mut braked = Braked::default();
    for change in pending_change() {
        if change == RoleChange::Revoked && evaluation.loss {
            braked.loss = true;
        } else if !engaged.contains(&change) || claim.passes(change) {
            return Ok(false);
        } else if !braked.brakes.contains(&change) {
            braked.brakes.push(change);
        }
    }
    let Some(why) = braked.held_by() else {
        return Ok(false);
    };
    for role in &evaluation.roles {
        let (user, name) = (claim.user.as_str(), role.rule.role.as_str());
        let (wanted, below_since) = (role.decision.wanted, role.decision.below_since);
        if role.pending_change().is_some() {
            assignments::awaited(tx, user, name, wanted, below_since).await?;
        } else {
            assignments::decided(tx, user, name, wanted, below_since).await?;
        }
    }
    debug!(user.id = claim.user.as_str(), ?why, "held without an attempt");
    leases::hold(tx, claim, claim.generation, why, evaluation.again_at()).await?;
    Ok(true)
}
