//! One look at one user: three short transactions and at most two calls.
//!
//! Owns the order: claim, GET, decide, PATCH, record. Must never hold a transaction or a connection across a
//! call, never wait between GET and PATCH, and never attempt a change that is not in the audit.

use tracing::{debug, info, warn};
use uuid::Uuid;

use super::Reconcile;
use super::brake::Braked;
use super::permit::Permit;
use super::race::{self, Races};
use super::standing::Standing;
use crate::auth0::{CallError, LaterWhy, Outcome, Profile, RateHeaders, Reply};
use crate::domain::pacer::Kind;
use crate::domain::plan::{Change, Plan, SeenRoles, plan};
use crate::domain::rule::Manual;
use crate::store::{
    Claim, Nominate, OpenChange, RaceOutcome, Seen, StoreError, Urgency, assignments, nominations,
    role_changes, users,
};

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
    Write(ToWrite),
}

struct ToWrite {
    plan: Plan,
    changes: Vec<Uuid>,
    /// The write's own row, once it is attempted.
    write: Option<Uuid>,
    races: Races,
    generation: i64,
    /// What was left out of the plan.
    braked: Braked,
    /// Roles that a person took away and the rules leave so.
    overruled: Vec<String>,
}

impl Reconcile {
    /// Takes the next due user in hand; answers a claim only if the user must be looked at. A user in step is
    /// done without a call.
    pub(super) async fn begin(&self) -> Result<Begun, StoreError> {
        let mut tx = self.store.begin().await?;
        let lease = Uuid::now_v7();
        let Some(claim) = nominations::claim(
            &mut tx,
            lease,
            super::lease_for(self.request_timeout),
            &self.fingerprint,
        )
        .await?
        else {
            return Ok(Begun::Nobody);
        };
        let standing = Standing::read(&mut tx, claim.user.as_str(), &self.rules, self.verify_after).await?;
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
            nominations::finish(&mut tx, &claim, claim.generation, standing.again_at()).await?;
        }
        let settled = settled || self.hold_unseen(&mut tx, &claim, &standing).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(if settled {
            Begun::Settled
        } else {
            Begun::Claimed(claim)
        })
    }

    /// Looks at the user and writes what is missing.
    pub(super) async fn look(&self, claim: &mut Claim, permit: &mut Permit) -> Result<(), LookError> {
        let reply = self.reader.get_user(&claim.user).await;
        let profile = match self.answered(permit, Kind::Read, reply) {
            Ok(profile) => profile,
            Err(LookError::Call {
                error: CallError::Gone,
                ..
            }) => return Ok(self.gone(claim).await?),
            Err(error) => return Err(error),
        };
        let Decided::Write(write) = self.decide(claim, &profile).await? else {
            return Ok(());
        };
        let reply = self.writer.patch_user(&claim.user, &write.plan.patch()).await;
        let after = match self.answered(permit, Kind::Write, reply) {
            Ok(after) => after,
            Err(LookError::Call {
                error: CallError::Gone,
                ..
            }) => return Ok(self.gone(claim).await?),
            Err(error) => return Err(error),
        };
        if after.roles() != SeenRoles::List(write.plan.roles_after().to_vec()) {
            // Answered 200, but the answer does not show what was written.
            let detail = "the answer to the write shows other roles than were written".to_owned();
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

    /// Tells pacer and metrics of an answer.
    fn answered(&self, permit: &mut Permit, call: Kind, reply: Reply<Profile>) -> Result<Profile, LookError> {
        let limited = matches!(reply.result, Err(CallError::Limited));
        permit.answered(call, &reply.rate, limited);
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
        let Some(ours) = nominations::still_ours(&mut tx, claim).await? else {
            info!(
                user.id = user,
                "somebody else has taken the user over; nothing written"
            );
            return Ok(Decided::Nothing);
        };
        claim.cause = ours.cause;
        if ours.look_again {
            // The profile may have changed after we read it.
            nominations::again(&mut tx, claim, std::time::Duration::ZERO, true, None).await?;
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
                users::fetched(&mut tx, user, profile.json()).await?;
                nominations::park(&mut tx, claim, &why).await?;
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(Decided::Nothing);
            }
        };
        let braked = self.brake(&mut tx, claim, &standing, &full).await?;
        let plan = braked.without_held(full, &base, &standing);
        let changes = self.audit(&mut tx, claim, &standing, &seen, &plan).await?;
        let mut write = ToWrite {
            plan,
            changes,
            write: None,
            races,
            generation: ours.generation,
            braked,
            overruled,
        };
        if (write.plan.is_empty() && !write.races.mends()) || !self.writes {
            self.record_look(&mut tx, claim, &standing, &write, profile)
                .await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.announce(&write.braked);
            return Ok(Decided::Nothing);
        }
        role_changes::attempt(&mut tx, &write.changes).await?;
        write.write =
            Some(race::attempt(&mut tx, user, profile, (write.plan.roles_after(), &write.races)).await?);
        tx.commit().await.map_err(StoreError::from)?;
        self.announce(&write.braked);
        Ok(Decided::Write(write))
    }

    /// Tells of roles that somebody took away although they are earned; answers those that are left so.
    fn taken_away(&self, user: &str, standing: &mut Standing<'_>, seen: &SeenRoles) -> Vec<String> {
        let mut left = Vec::new();
        for (role, manual) in standing.taken_away(seen) {
            let answer = if manual == Manual::Alert {
                "left"
            } else {
                "restored"
            };
            self.metrics.taken_away.with_label_values(&[answer]).inc();
            warn!(
                user.id = user,
                role, answer, "somebody took a role away that is earned"
            );
            if manual == Manual::Alert {
                left.push(role.to_owned());
            }
        }
        left
    }

    /// Brings the audit in line with what was seen and what is planned; answers the rows of the plan.
    async fn audit(
        &self,
        tx: &mut crate::store::Tx<'_>,
        claim: &Claim,
        standing: &Standing<'_>,
        seen: &SeenRoles,
        plan: &Plan,
    ) -> Result<Vec<Uuid>, StoreError> {
        let (done, undone): (Vec<_>, Vec<_>) = standing
            .open
            .iter()
            .partition(|open| seen.has(&open.role) == open.granted);
        let ids: Vec<Uuid> = done.iter().map(|open| open.id).collect();
        role_changes::complete(tx, &ids, "confirmed").await?;
        for open in done {
            let change = if open.granted {
                Change::Granted
            } else {
                Change::Revoked
            };
            self.metrics
                .role_changes
                .with_label_values(&[change.as_str(), "confirmed"])
                .inc();
        }
        let mut rows = Vec::new();
        let mut dropped: Vec<Uuid> = undone.iter().map(|open| open.id).collect();
        for (role, change) in plan.changes() {
            let granted = *change == Change::Granted;
            let same = |open: &&&OpenChange| open.role == *role && open.granted == granted;
            // With writes off nothing will come of an open change: it is closed below.
            if let Some(open) = undone.iter().find(same).filter(|_| self.writes) {
                dropped.retain(|id| *id != open.id);
                rows.push(open.id);
                continue;
            }
            let Some(of) = standing.roles.iter().find(|one| one.rule.role == *role) else {
                continue;
            };
            // In shadow mode the same decision is made at each look, and belongs into the audit once.
            let decided_before = !self.writes
                && of
                    .known
                    .as_ref()
                    .is_some_and(|known| known.wanted == of.decision.wanted)
                && role_changes::is_shadowed(tx, claim, role, *change).await?;
            if !decided_before {
                rows.push(
                    role_changes::decide(
                        tx,
                        claim,
                        (of.rule, *change),
                        standing.plays(of.rule),
                        !self.writes,
                    )
                    .await?,
                );
                if !self.writes {
                    self.metrics
                        .role_changes
                        .with_label_values(&[change.as_str(), "shadow"])
                        .inc();
                }
            }
        }
        role_changes::close(tx, &dropped, "superseded").await?;
        Ok(rows)
    }

    /// Records a look that wrote nothing.
    async fn record_look(
        &self,
        tx: &mut crate::store::Tx<'_>,
        claim: &Claim,
        standing: &Standing<'_>,
        write: &ToWrite,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        self.remember(tx, claim, standing, profile).await?;
        debug!(user.id = claim.user.as_str(), "{}", write.plan);
        self.finish(tx, claim, write.generation, standing, &write.braked)
            .await
    }

    /// Third transaction: what the write did.
    async fn record(&self, claim: &Claim, write: &ToWrite, after: &Profile) -> Result<(), StoreError> {
        let user = claim.user.as_str();
        let mut tx = self.store.begin().await?;
        let ours = nominations::still_ours(&mut tx, claim).await?;
        if let Some(write) = write.write {
            // True whoever has the user in hand now.
            race::answered(&mut tx, write, after).await?;
        }
        if ours.is_none() {
            // The write was done, but another look began meanwhile: it must look after our write.
            let mut again = [Nominate {
                user: user.to_owned(),
                urgency: Urgency::Revoke,
                observe: true,
                cause: None,
            }];
            nominations::nominate(&mut tx, &mut again).await?;
            tx.commit().await?;
            warn!(
                user.id = user,
                "the record of a write came too late; the user is looked at again"
            );
            return Ok(());
        }
        // Read while the grant is open: it is ours, also if it is not earned any more.
        let mut standing = Standing::read(&mut tx, user, &self.rules, self.verify_after).await?;
        role_changes::complete(&mut tx, &write.changes, "written").await?;
        if write.races.mends() {
            self.settle_races(&mut tx, user, RaceOutcome::NothingLost).await?;
        }
        for role in &mut standing.roles {
            role.overruled |= write.overruled.contains(&role.rule.role);
        }
        self.remember(&mut tx, claim, &standing, after).await?;
        self.finish(&mut tx, claim, write.generation, &standing, &write.braked)
            .await?;
        tx.commit().await?;
        for (_, change) in write.plan.changes() {
            self.metrics
                .role_changes
                .with_label_values(&[change.as_str(), "written"])
                .inc();
        }
        let lag = claim
            .cause
            .as_ref()
            .map(|cause| (crate::clock::now() - cause.stored_at).as_seconds_f64());
        if let Some(lag) = lag {
            self.metrics.role_lag.observe(lag.max(0.0));
        }
        info!(user.id = user, plan = %write.plan, lag_s = lag, queued_ms = claim.queued_ms, "role written");
        Ok(())
    }

    /// Keeps what a profile shows of the owned roles, and the profile.
    async fn remember(
        &self,
        tx: &mut crate::store::Tx<'_>,
        claim: &Claim,
        standing: &Standing<'_>,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        let user = claim.user.as_str();
        let seen = profile.roles();
        for role in &standing.roles {
            let name = role.rule.role.as_str();
            let (held, wanted, below_since) =
                (seen.has(name), role.decision.wanted, role.decision.below_since);
            if held || wanted || role.known.is_some() {
                // Found while earned, the role is ours from now on; gone, there is nothing to own.
                let adopted = held && (role.adopted() || wanted);
                let overruled = role.overruled && !held;
                let now = Seen {
                    role: name,
                    wanted,
                    held,
                    adopted,
                    below_since,
                    overruled,
                };
                assignments::seen(tx, user, now).await?;
            }
        }
        users::fetched(tx, user, profile.json()).await
    }

    /// Auth0 does not know the user: nothing is left to do.
    async fn gone(&self, claim: &Claim) -> Result<(), StoreError> {
        let user = claim.user.as_str();
        let mut tx = self.store.begin().await?;
        let Some(ours) = nominations::still_ours(&mut tx, claim).await? else {
            return Ok(());
        };
        let open: Vec<Uuid> = role_changes::open(&mut tx, user)
            .await?
            .into_iter()
            .map(|open| open.id)
            .collect();
        role_changes::close(&mut tx, &open, "gone").await?;
        assignments::forget(&mut tx, user).await?;
        users::gone(&mut tx, user).await?;
        nominations::finish(&mut tx, claim, ours.generation, None).await?;
        tx.commit().await?;
        info!(user.id = user, "Auth0 does not know the user any more");
        Ok(())
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
