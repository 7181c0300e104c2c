//! One attempt at one user: three short transactions and at most two calls.
//!
//! Owns the order: claim and permission, token, GET, decide, PATCH, record. Must never hold a transaction or a
//! connection across a call, never wait between GET and PATCH, never write from a profile that was read too long ago,
//! and never attempt a change that is not in the audit.

use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::Reconcile;
use super::brake::Braked;
use super::hidden;
use super::leave::Leave;
use super::race::{self, Races};
use super::read::Read;
use crate::auth0::{CallError, Profile, RateHeaders};
use crate::flow::backoff::base_delay;
use crate::flow::permit::Permit;
use crate::metrics::Unsent;
use crate::store::work_queue::Order;
use crate::store::{Claim, StoreError, Tx, assignments, erasures, leases, users};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::patch::Patch;
use rolekeeper_domain::person::Person;
use rolekeeper_domain::plan::{Change, plan};
use rolekeeper_domain::schedule::DENIED_AT_MOST;

/// The reason why an attempt did not complete.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// Postgres failed; the lease expires and the user is attempted again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Auth0 failed or refused.
    #[error("{error}")]
    Call {
        /// The error, which says what acts next.
        error: CallError,
        /// The response's headers about waiting.
        rate: RateHeaders,
    },
    /// A fault of the program, met with this user.
    #[error("a panic, which is a fault of the program; the log has the details")]
    Panicked,
    /// Too much time passed between the read and the write.
    #[error("the profile was read too long ago to write")]
    TooLate,
}

/// A claimed user.
pub(super) struct Taken {
    pub(super) claim: Claim,
    /// The changes that may be made.
    leave: Leave,
    /// The links that the read profile shows are stored.
    person_kept: bool,
    /// No write is sent after this.
    pub(super) lease_ends: Instant,
}

/// The decision made after the profile was read.
enum Decided {
    /// Recorded already: nothing to write, or the lease is lost.
    Nothing,
    /// The profile shows other links than the stored ones, which must be stored before a decision.
    OtherPerson(Vec<UserId<'static>>),
    /// An unexpected change: its brake must be asked, and the profile read again.
    Unasked(Change),
    /// A write that is sent now.
    Write(Box<ToWrite>),
}

/// A write that was decided.
pub(super) struct ToWrite {
    pub(super) patch: Patch,
    pub(super) changes: Vec<Uuid>,
    /// The requested name that this write applies.
    pub(super) wish: Option<Uuid>,
    /// The row of a write of roles, once it is attempted.
    pub(super) write: Option<Uuid>,
    pub(super) races: Races,
    pub(super) generation: i64,
    /// The changes left out of the plan.
    pub(super) braked: Braked,
    /// Roles that another client removed and that the rules leave removed.
    pub(super) suppressed: Vec<String>,
    /// Missing roles of which it is not yet known whether another client removed them.
    pub(super) doubtful: Vec<String>,
}

impl Reconcile {
    /// Claims the next due user. Returns a claim only if the user needs an attempt; a user who is up to date is done
    /// without a call. Users queued by records alone are taken only with `by_record`.
    pub(super) async fn begin(&self, by_record: bool, order: Order) -> Result<Begun, StoreError> {
        let (lease, lease_for) = (Uuid::now_v7(), super::lease_for(self.request_timeout));
        // Measured before Postgres starts to count the lease.
        let lease_ends = Instant::now() + lease_for;
        let mut tx = self.store.begin().await?;
        let rules = &self.fingerprint;
        let Some(mut claim) = leases::claim(&mut tx, lease, lease_for, rules, (by_record, order)).await?
        else {
            return Ok(Begun::NoneDue);
        };
        self.breaker().taken(claim.priority);
        match self.settle_unseen(tx, &mut claim).await {
            Ok(None) => Ok(Begun::Settled),
            Ok(Some(leave)) => Ok(Begun::Claimed(Box::new(Taken {
                claim,
                leave,
                person_kept: false,
                lease_ends,
            }))),
            Err(why) if why.is_about_the_data() => {
                // This user alone is affected; other users must not wait.
                warn!(user.id = claim.user.as_str(), "attempt not started: {why}");
                let failures = u32::try_from(claim.attempts).unwrap_or(0) + 1;
                let why = format!("the stored data of the user cannot be used: {why}");
                let mut tx = self.store.begin().await?;
                let (user, wait) = (claim.user.as_str(), base_delay(failures));
                leases::stumbled(&mut tx, user, wait, &why, DENIED_AT_MOST).await?;
                tx.commit().await.map_err(StoreError::from)?;
                Ok(Begun::Settled)
            }
            Err(why) => Err(why),
        }
    }

    /// Ends an attempt at once if our own records show that there is nothing to do. Otherwise the user stays claimed,
    /// with permission for the expected changes.
    async fn settle_unseen(
        &self,
        mut tx: Tx<'static>,
        claim: &mut Claim,
    ) -> Result<Option<Leave>, StoreError> {
        // Read after the claim, so that changes that waited for its lock are seen.
        let mut standing = self.evaluate(&mut tx, claim.user.as_str()).await?;
        if standing.erasures
            && erasures::erased_again(&mut tx, self.store.erasure_key(), claim.user.as_str()).await?
        {
            // A transaction that began before the erasure queued the user, or the operator did.
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(None);
        }
        if let Some(primary) = &standing.person.alias_of {
            tx.commit().await.map_err(StoreError::from)?;
            self.pass_on(claim, primary).await?;
            return Ok(None);
        }
        let (name, debounce) = (standing.names.is_to_be_written(), standing.names.debounce);
        let debounced = name && !claim.force_fetch && standing.in_step() && debounce.is_some();
        claim.force_fetch |= name && !debounced;
        let settled = !claim.force_fetch && standing.in_step();
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
            match debounce.filter(|_| debounced) {
                Some(debounce) => leases::again(&mut tx, claim, debounce, false, None).await?,
                None => leases::finish(&mut tx, claim, claim.generation, standing.again_at()).await?,
            }
        }
        if settled || self.hold_unseen(&mut tx, claim, &standing).await? {
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(None);
        }
        standing.forbid(&self.restores.forbidden);
        let mut leave = self.ask_ahead(&mut tx, claim, &standing).await?;
        tx.commit().await.map_err(StoreError::from)?;
        self.announce(leave.take_engaged());
        Ok(Some(leave))
    }

    /// Asks the brake for a change that was not expected.
    async fn ask_late(&self, taken: &mut Taken, change: Change) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        self.ask(&mut tx, &taken.claim, change, &mut taken.leave).await?;
        tx.commit().await?;
        self.announce(taken.leave.take_engaged());
        Ok(())
    }

    /// Runs the attempt: reads the profile and writes what is missing.
    pub(super) async fn attempt(&self, taken: &mut Taken, permit: &mut Permit) -> Result<(), AttemptError> {
        loop {
            let read = match self.read(taken, permit).await {
                Ok(read) => read,
                Err(AttemptError::Call {
                    error: CallError::Gone { at },
                    ..
                }) => return self.absent(&taken.claim, at).await,
                Err(error) => return Err(error),
            };
            taken.person_kept = false;
            let mut decided = self.decide(taken, &read, permit).await?;
            if let Decided::OtherPerson(ids) = decided {
                self.keep_person(&taken.claim, &read.profile, &ids).await?;
                taken.person_kept = true;
                decided = self.decide(taken, &read, permit).await?;
            }
            match decided {
                Decided::Nothing | Decided::OtherPerson(_) => return Ok(()),
                Decided::Unasked(change) => {
                    self.ask_late(taken, change).await?;
                    permit.once_more().await;
                }
                Decided::Write(write) => return self.write(&taken.claim, permit, &write, read.until).await,
            }
        }
    }

    /// Second transaction: decides from the facts as they are now and writes the decision to the audit.
    async fn decide(&self, taken: &mut Taken, read: &Read, permit: &Permit) -> Result<Decided, AttemptError> {
        let Taken {
            claim,
            leave,
            person_kept,
            ..
        } = taken;
        let (user, profile) = (claim.user.as_str(), &read.profile);
        let mut tx = self.store.begin().await?;
        let Some(ours) = leases::still_ours(&mut tx, claim).await? else {
            info!(
                user.id = user,
                "another attempt has taken the user over; nothing was written"
            );
            return Ok(Decided::Nothing);
        };
        if ours.flapping {
            // The next event is likely to undo a decision made now.
            leases::debounce(&mut tx, claim).await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.wake.notify_one();
            return Ok(Decided::Nothing);
        }
        claim.cause = ours.cause;
        if leave.expects() {
            // Postgres is slow: a decision made now could not be written in time.
            read.in_time()?;
        }
        if ours.read_again {
            leases::read_anew(&mut tx, claim).await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.wake.notify_one();
            return Ok(Decided::Nothing);
        }
        hidden::doubted(&mut tx, user, profile).await?;
        let mut standing = self.evaluate(&mut tx, user).await?;
        if let Some(ids) = differing(&standing.person, profile).filter(|_| !*person_kept) {
            return Ok(Decided::OtherPerson(ids));
        }
        if standing.gone_at.is_some() {
            self.known_again(&mut tx, claim, profile, &standing).await?;
            standing = self.evaluate(&mut tx, user).await?;
        }
        standing.forbid(&self.restores.forbidden);
        let seen = profile.roles();
        let races = self.races(&mut tx, claim, profile, &mut standing).await?;
        let base = races.base(&seen);
        let suppressed = self.externally_removed(user, &mut standing, &seen);
        let full = match plan(&base, &standing.wants()) {
            Ok(plan) => plan,
            Err(why) => {
                park_odd(tx, claim, profile, &why).await?;
                self.report_races(user, &races);
                return Ok(Decided::Nothing);
            }
        };
        let braked = match self.brake(claim, &standing, &full, leave) {
            Ok(braked) => braked,
            Err(unasked) => return Ok(Decided::Unasked(unasked)),
        };
        let plan = braked.drop_held(full, &base, &standing);
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
            suppressed,
            doubtful: standing.left_open(),
        };
        if write.patch.is_empty() || !self.writes {
            self.record_attempt(&mut tx, claim, &standing, &write, profile)
                .await?;
            tx.commit().await.map_err(StoreError::from)?;
            self.report_races(user, &write.races);
            return Ok(Decided::Nothing);
        }
        if !permit.write_may_follow(&read.rate) {
            self.metrics.reconcile.in_vain.of(Unsent::NothingLeft).inc();
            return Err(AttemptError::Call {
                error: CallError::Limited,
                rate: read.rate,
            });
        }
        if write.patch.roles().is_some() {
            write.write = Some(race::attempt(&mut tx, user, profile, (&write.patch, &write.races)).await?);
        }
        read.in_time()?;
        tx.commit().await.map_err(StoreError::from)?;
        self.report_races(user, &write.races);
        // The response to the write counts as requested at this time.
        claim.asked_at = standing.now();
        Ok(Decided::Write(Box::new(write)))
    }
}

/// The ids that the profile shows as linked, if they differ from the stored ones.
fn differing(stored: &Person, profile: &Profile) -> Option<Vec<UserId<'static>>> {
    let shown = profile.identities()?;
    let ids: Vec<&str> = shown.iter().map(UserId::as_str).collect();
    stored.differs(&ids).then_some(shown)
}

/// Parks a user whose roles have a form from which no plan follows.
async fn park_odd(mut tx: Tx<'_>, claim: &Claim, profile: &Profile, why: &str) -> Result<(), StoreError> {
    warn!(user.id = claim.user.as_str(), "parked for the operator: {why}");
    keep(&mut tx, claim, profile).await?;
    leases::park(&mut tx, claim, why, None).await?;
    Ok(tx.commit().await?)
}

/// Stores a profile; from a profile that was read in part, only that the user exists.
pub(super) async fn keep(tx: &mut Tx<'_>, claim: &Claim, profile: &Profile) -> Result<(), StoreError> {
    if profile.is_whole() {
        users::fetched(tx, claim.user.as_str(), profile.json(), claim.asked_at).await
    } else {
        users::found(tx, claim.user.as_str(), claim.asked_at).await
    }
}

/// The result of claiming a user.
pub(super) enum Begun {
    /// No user is due.
    NoneDue,
    /// The user was up to date; done.
    Settled,
    /// The user needs an attempt.
    Claimed(Box<Taken>),
}
