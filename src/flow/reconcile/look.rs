//! One look at one user: three short transactions and at most two calls.
//!
//! Owns the order: claim, GET, decide, PATCH, record. Must never hold a transaction or a connection across a
//! call, never wait between GET and PATCH, and never attempt a change that is not in the audit.

use tracing::{error, info, warn};
use uuid::Uuid;

use super::Reconcile;
use super::brake::Braked;
use super::permit::Permit;
use super::race::{self, Races};
use super::standing::Standing;
use crate::auth0::{CallError, LaterWhy, Outcome, Profile, RateHeaders, Reply};
use crate::domain::pacer::Kind;
use crate::domain::patch::Patch;
use crate::domain::plan::plan;
use crate::domain::schedule::DENIED_AT_MOST;
use crate::flow::backoff::base_delay;
use crate::store::{Claim, StoreError, Tx, assignments, erasures, looks, users};

/// Why a look did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// Postgres failed; the lease runs out and the user is looked at again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Auth0 failed or refused.
    #[error("{error}")]
    Call {
        /// Who acts next.
        error: CallError,
        /// What the reply said about waiting.
        rate: RateHeaders,
    },
}

/// What was decided after the profile was read.
enum Decided {
    /// Recorded already: nothing to write, or not ours any more.
    Nothing,
    /// To be written now.
    Write(Box<ToWrite>),
}

/// A write that was decided.
pub(super) struct ToWrite {
    pub(super) patch: Patch,
    pub(super) changes: Vec<Uuid>,
    /// The wish that comes true with it.
    pub(super) wish: Option<Uuid>,
    /// The row of a write of roles, once it is attempted.
    pub(super) write: Option<Uuid>,
    pub(super) races: Races,
    pub(super) generation: i64,
    /// What was left out of the plan.
    pub(super) braked: Braked,
    /// Roles that a person took away and the rules leave so.
    pub(super) overruled: Vec<String>,
}

impl Reconcile {
    /// Takes the next due user in hand; answers a claim only if the user must be looked at. A user in step is
    /// done without a call. Users whom records alone nominated are taken only with `by_record`.
    pub(super) async fn begin(&self, by_record: bool) -> Result<Begun, StoreError> {
        let mut tx = self.store.begin().await?;
        let lease = Uuid::now_v7();
        let Some(mut claim) = looks::claim(
            &mut tx,
            lease,
            super::lease_for(self.request_timeout),
            &self.fingerprint,
            by_record,
        )
        .await?
        else {
            return Ok(Begun::Nobody);
        };
        match self.settle_unseen(tx, &mut claim).await {
            Ok(true) => Ok(Begun::Settled),
            Ok(false) => Ok(Begun::Claimed(claim)),
            Err(why) if why.is_about_the_data() => {
                // Of this user alone; the others must not wait for it.
                warn!(user.id = claim.user.as_str(), "look not begun: {why}");
                let failures = u32::try_from(claim.attempts).unwrap_or(0) + 1;
                let why = format!("what is stored of the user cannot be used: {why}");
                let mut tx = self.store.begin().await?;
                let (user, wait) = (claim.user.as_str(), base_delay(failures));
                looks::stumbled(&mut tx, user, wait, &why, DENIED_AT_MOST).await?;
                tx.commit().await.map_err(StoreError::from)?;
                Ok(Begun::Settled)
            }
            Err(why) => Err(why),
        }
    }

    /// Ends a look at once if our own records say that there is nothing to do; otherwise the user stays in hand.
    async fn settle_unseen(&self, mut tx: Tx<'static>, claim: &mut Claim) -> Result<bool, StoreError> {
        // After the claim: what waited for its lock is seen.
        let standing = Standing::read(&mut tx, claim.user.as_str(), &self.rules, self.verify_after).await?;
        if standing.erasures
            && erasures::erased_again(&mut tx, self.store.erasure_key(), claim.user.as_str()).await?
        {
            // Nominated by somebody who began before the erasure, or by hand.
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(true);
        }
        claim.observe = claim.observe || standing.names.is_to_be_written();
        let settled = !claim.observe && standing.in_step();
        if settled {
            for role in &standing.roles {
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
            looks::finish(&mut tx, claim, claim.generation, standing.again_at()).await?;
        }
        let settled = settled || self.hold_unseen(&mut tx, claim, &standing).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(settled)
    }

    /// Looks at the user and writes what is missing.
    pub(super) async fn look(&self, claim: &mut Claim, permit: &mut Permit) -> Result<(), LookError> {
        let reply = if claim.was_illegible() {
            self.reader.get_needed(&claim.user).await
        } else {
            self.reader.get_user(&claim.user).await
        };
        let profile = match self.answered(permit, Kind::Read, reply) {
            Ok(profile) => profile,
            Err(LookError::Call {
                error: CallError::Gone { at },
                ..
            }) => return Ok(self.gone(claim, at).await?),
            Err(error) => return Err(error),
        };
        let Decided::Write(write) = self.decide(claim, &profile).await? else {
            return Ok(());
        };
        let reply = self.writer.patch_user(&claim.user, &write.patch.body()).await;
        let after = match self.answered(permit, Kind::Write, reply) {
            Ok(after) => after,
            Err(LookError::Call {
                error: CallError::Gone { at },
                ..
            }) => return Ok(self.gone(claim, at).await?),
            Err(error) => {
                if let LookError::Call { error, .. } = &error {
                    self.refused(write.write, error).await?;
                }
                return self.unwritten(claim, &write.patch, error).await;
            }
        };
        if !write.patch.is_shown_by(&after.roles(), &after.display_name()) {
            // Answered 200, but the answer does not show what was written.
            let detail = "the answer to the write shows something else than was written".to_owned();
            let error = CallError::Later {
                why: LaterWhy::BadAnswer,
                outcome: Outcome::Unknown,
                detail,
            };
            return Err(LookError::Call {
                error,
                rate: RateHeaders::default(),
            });
        }
        Ok(self.record(claim, &write, &after).await?)
    }

    /// A write that failed. One that was refused may do without its name.
    async fn unwritten(&self, claim: &Claim, patch: &Patch, error: LookError) -> Result<(), LookError> {
        if let LookError::Call {
            error: why @ CallError::Refused { .. },
            ..
        } = &error
            && let Some(naming) = patch.naming()
        {
            return Ok(self.name_refused(claim, naming, why).await?);
        }
        self.tell_of_refusal(claim, patch, &error);
        Err(error)
    }

    /// Tells of changes of roles that Auth0 refused to write: of a revoke above all, which the user may have brought about.
    fn tell_of_refusal(&self, claim: &Claim, patch: &Patch, error: &LookError) {
        let LookError::Call {
            error: why @ CallError::Refused { .. },
            ..
        } = error
        else {
            return;
        };
        for (role, change) in patch.plan().changes() {
            let change = change.as_str();
            self.metrics
                .role_writes_refused
                .with_label_values(&[change])
                .inc();
            error!(
                user.id = claim.user.as_str(),
                role,
                change,
                "Auth0 refused to write a role that is to be {change}: {why}. A profile above Auth0's limit of 10 KB may be                  the cause; make it smaller, or write the role by hand, then: rolekeeper requeue --user ID"
            );
        }
    }

    /// Tells pacer and metrics of an answer.
    fn answered(&self, permit: &mut Permit, call: Kind, reply: Reply<Profile>) -> Result<Profile, LookError> {
        let limited = matches!(reply.result, Err(CallError::Limited));
        permit.answered(call, &reply.rate, limited);
        if matches!(reply.result, Ok(_) | Err(CallError::Gone { .. })) {
            permit.accept(call);
        }
        let result = match &reply.result {
            Ok(_) => "ok",
            Err(error) => error.as_str(),
        };
        let name = if call == Kind::Read {
            "get_user"
        } else {
            "patch_user"
        };
        self.metrics.auth0_calls.with_label_values(&[name, result]).inc();
        reply.result.map_err(|error| LookError::Call {
            error,
            rate: reply.rate,
        })
    }

    /// Second transaction: decides from the facts as they are now and writes the decision into the audit.
    async fn decide(&self, claim: &mut Claim, profile: &Profile) -> Result<Decided, LookError> {
        let user = claim.user.as_str();
        let mut tx = self.store.begin().await?;
        let Some(ours) = looks::still_ours(&mut tx, claim).await? else {
            info!(
                user.id = user,
                "somebody else has taken the user over; nothing written"
            );
            return Ok(Decided::Nothing);
        };
        if ours.restless {
            // What is decided now is likely to be undone by the next event.
            looks::rest(&mut tx, claim).await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.wake.notify_one();
            return Ok(Decided::Nothing);
        }
        claim.cause = ours.cause;
        if ours.look_again {
            // The profile may have changed after we read it.
            looks::again(&mut tx, claim, std::time::Duration::ZERO, true, None).await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.wake.notify_one();
            return Ok(Decided::Nothing);
        }
        let mut standing = Standing::read(&mut tx, user, &self.rules, self.verify_after).await?;
        if standing.gone_at.is_some() {
            self.known_again(&mut tx, claim, profile, &standing).await?;
            standing = Standing::read(&mut tx, user, &self.rules, self.verify_after).await?;
        }
        standing.forbid(&self.restores.forbidden);
        let seen = profile.roles();
        let races = self.races(&mut tx, claim, profile, &mut standing).await?;
        let base = races.base(&seen);
        let overruled = self.taken_away(user, &mut standing, &seen);
        let full = match plan(&base, &standing.wants()) {
            Ok(plan) => plan,
            Err(why) => {
                warn!(user.id = user, "parked for a person: {why}");
                keep(&mut tx, claim, profile).await?;
                looks::park(&mut tx, claim, &why, None).await?;
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(Decided::Nothing);
            }
        };
        let braked = self.brake(&mut tx, claim, &standing, &full).await?;
        let plan = braked.without_held(full, &base, &standing);
        let mut changes = self.audit(&mut tx, claim, &standing, &seen, &plan).await?;
        let restored = self.audit_restores(&mut tx, claim, &standing.restores, &seen, &races);
        changes.extend(restored.await?);
        let (naming, wish) = match self.name(&mut tx, user, profile, &standing.names).await? {
            Some(named) => (Some(named.naming), named.wish),
            None => (None, None),
        };
        let mut write = ToWrite {
            patch: Patch::new(plan, races.mends(), naming),
            changes,
            wish,
            write: None,
            races,
            generation: ours.generation,
            braked,
            overruled,
        };
        if write.patch.is_empty() || !self.writes {
            self.record_look(&mut tx, claim, &standing, &write, profile)
                .await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.announce(&write.braked);
            return Ok(Decided::Nothing);
        }
        if let Some(roles) = write.patch.roles() {
            write.write = Some(race::attempt(&mut tx, user, profile, (roles, &write.races)).await?);
        }
        tx.commit().await.map_err(StoreError::from)?;
        // What the write's answer shows was asked for after this.
        claim.asked_at = standing.now();
        self.announce(&write.braked);
        Ok(Decided::Write(Box::new(write)))
    }
}

/// Keeps a profile that was read; of one that was read in part only that the user is there.
pub(super) async fn keep(tx: &mut Tx<'_>, claim: &Claim, profile: &Profile) -> Result<(), StoreError> {
    if profile.is_whole() {
        users::fetched(tx, claim.user.as_str(), profile.json(), claim.asked_at).await
    } else {
        users::found(tx, claim.user.as_str(), claim.asked_at).await
    }
}

/// What came of taking a user in hand.
pub(super) enum Begun {
    /// Nobody is due.
    Nobody,
    /// The user was in step; done.
    Settled,
    /// The user must be looked at.
    Claimed(Claim),
}
