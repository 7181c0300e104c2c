//! One look at one user: three short transactions and at most two calls.
//!
//! Owns the order: claim and leave, token, GET, decide, PATCH, record. Must never hold a transaction or a connection
//! across a call, never wait between GET and PATCH, never write on what was read too long ago, and never attempt a
//! change that is not in the audit.

use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::Reconcile;
use super::brake::Braked;
use super::leave::Leave;
use super::permit::Permit;
use super::race::{self, Races};
use super::read::Read;
use super::standing::Standing;
use crate::auth0::{CallError, LaterWhy, Outcome, RateHeaders};
use crate::domain::pacer::Kind;
use crate::domain::patch::Patch;
use crate::domain::plan::{Change, plan};
use crate::store::{Claim, StoreError, assignments, erasures, looks, profile_writes, users};

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
    /// Too much time passed between the read and the write.
    #[error("the profile was read too long ago to write")]
    TooLate,
}

/// A user in hand.
pub(super) struct Taken {
    pub(super) claim: Claim,
    /// What may be changed.
    leave: Leave,
    /// No write is sent after this.
    pub(super) lease_ends: Instant,
}

/// What was decided after the profile was read.
enum Decided {
    /// Recorded already: nothing to write, or not ours any more.
    Nothing,
    /// A change that was not expected: its brake must be asked, and the profile read again.
    Unasked(Change),
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
    /// done without a call.
    pub(super) async fn begin(&self) -> Result<Begun, StoreError> {
        let (lease, lease_for) = (Uuid::now_v7(), super::lease_for(self.request_timeout));
        // Before Postgres begins to count it.
        let lease_ends = Instant::now() + lease_for;
        let mut tx = self.store.begin().await?;
        let Some(mut claim) = looks::claim(&mut tx, lease, lease_for, &self.fingerprint).await? else {
            return Ok(Begun::Nobody);
        };
        // After the claim: what waited for its lock is seen.
        let standing = Standing::read(&mut tx, claim.user.as_str(), &self.rules, self.verify_after).await?;
        if standing.erasures
            && erasures::erased_again(&mut tx, self.store.erasure_key(), claim.user.as_str()).await?
        {
            // Nominated by somebody who began before the erasure, or by hand.
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(Begun::Settled);
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
            looks::finish(&mut tx, &claim, claim.generation, standing.again_at()).await?;
        }
        if settled || self.hold_unseen(&mut tx, &claim, &standing).await? {
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(Begun::Settled);
        }
        let mut leave = self.ask_ahead(&mut tx, &claim, &standing).await?;
        tx.commit().await.map_err(StoreError::from)?;
        self.announce(leave.take_engaged());
        Ok(Begun::Claimed(Box::new(Taken {
            claim,
            leave,
            lease_ends,
        })))
    }

    /// Asks the brake for a change that was not expected.
    async fn ask_late(&self, taken: &mut Taken, change: Change) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        self.ask(&mut tx, &taken.claim, change, &mut taken.leave).await?;
        tx.commit().await?;
        self.announce(taken.leave.take_engaged());
        Ok(())
    }

    /// Looks at the user and writes what is missing.
    pub(super) async fn look(&self, taken: &mut Taken, permit: &mut Permit) -> Result<(), LookError> {
        loop {
            let Some(read) = self.read(taken, permit).await? else {
                return Ok(self.gone(&taken.claim).await?);
            };
            match self.decide(taken, &read, permit).await? {
                Decided::Nothing => return Ok(()),
                Decided::Unasked(change) => {
                    self.ask_late(taken, change).await?;
                    *permit = self.gate.look().await;
                }
                Decided::Write(write) => return self.write(&taken.claim, permit, &write, read.until).await,
            }
        }
    }

    /// Sends what was decided, and records what came of it.
    async fn write(
        &self,
        claim: &Claim,
        permit: &mut Permit,
        write: &ToWrite,
        until: Instant,
    ) -> Result<(), LookError> {
        let body = write.patch.body();
        let reply = self.writer.patch_user(&claim.user, &body, until).await;
        let after = match self.answered(permit, Kind::Write, reply) {
            Ok(after) => after,
            Err(LookError::Call {
                error: CallError::Gone,
                ..
            }) => return Ok(self.gone(claim).await?),
            Err(error) => return self.unwritten(claim, write, error).await,
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
        Ok(self.record(claim, write, &after).await?)
    }

    /// A write that failed. One that was refused may do without its name.
    async fn unwritten(&self, claim: &Claim, write: &ToWrite, error: LookError) -> Result<(), LookError> {
        let LookError::Call { error: why, .. } = &error else {
            return Err(error);
        };
        if let (true, Some(write)) = (is_without_effect(why), write.write) {
            let mut tx = self.store.begin().await?;
            profile_writes::without_effect(&mut tx, write).await?;
            tx.commit().await.map_err(StoreError::from)?;
        }
        match (why, write.patch.naming()) {
            (CallError::Refused { .. }, Some(naming)) => Ok(self.name_refused(claim, naming, why).await?),
            (
                CallError::Later {
                    why: LaterWhy::TooLate,
                    ..
                },
                _,
            ) => Err(LookError::TooLate),
            _ => Err(error),
        }
    }

    /// Second transaction: decides from the facts as they are now and writes the decision into the audit.
    async fn decide(&self, taken: &mut Taken, read: &Read, permit: &Permit) -> Result<Decided, LookError> {
        let Taken { claim, leave, .. } = taken;
        let (user, profile) = (claim.user.as_str(), &read.profile);
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
        if leave.expects() {
            // Postgres is slow: what is decided now could not be written any more.
            read.in_time()?;
        }
        if ours.look_again {
            looks::read_anew(&mut tx, claim).await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.wake.notify_one();
            return Ok(Decided::Nothing);
        }
        let mut standing = Standing::read(&mut tx, user, &self.rules, self.verify_after).await?;
        let seen = profile.roles();
        let races = self.races(&mut tx, user, profile, &mut standing).await?;
        let base = races.base(&seen);
        let overruled = self.taken_away(user, &mut standing, &seen);
        let full = match plan(&base, &standing.wants()) {
            Ok(plan) => plan,
            Err(why) => {
                warn!(user.id = user, "parked for a person: {why}");
                users::fetched(&mut tx, user, profile.json(), crate::clock::now()).await?;
                looks::park(&mut tx, claim, &why).await?;
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(Decided::Nothing);
            }
        };
        let braked = match self.brake(claim, &standing, &full, leave) {
            Ok(braked) => braked,
            Err(unasked) => return Ok(Decided::Unasked(unasked)),
        };
        let plan = braked.without_held(full, &base, &standing);
        let changes = self.audit(&mut tx, claim, &standing, &seen, &plan).await?;
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
            return Ok(Decided::Nothing);
        }
        if !permit.write_may_follow(&read.rate) {
            self.metrics
                .reconcile
                .in_vain
                .with_label_values(&["nothing_left"])
                .inc();
            return Err(LookError::Call {
                error: CallError::Limited,
                rate: read.rate,
            });
        }
        if let Some(roles) = write.patch.roles() {
            write.write = Some(race::attempt(&mut tx, user, profile, (roles, &write.races)).await?);
        }
        read.in_time()?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Decided::Write(Box::new(write)))
    }
}

/// What came of taking a user in hand.
pub(super) enum Begun {
    /// Nobody is due.
    Nobody,
    /// The user was in step; done.
    Settled,
    /// The user must be looked at.
    Claimed(Box<Taken>),
}

/// Whether it is certain that the call changed nothing: it was refused by the rate limit, or never sent.
fn is_without_effect(error: &CallError) -> bool {
    match error {
        CallError::Limited => true,
        CallError::Later { outcome, .. } => *outcome == Outcome::NotSent,
        _ => false,
    }
}
