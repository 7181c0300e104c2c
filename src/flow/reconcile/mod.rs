//! Makes roles at Auth0 match what facts and rules require, and display names match what users request.
//!
//! Owns the consumption of the queue: several attempts in flight, never the same user twice (a lease, for safety).
//! Events only name the users to check; every trigger leads to the same result. Must never write a change that is not in
//! the audit, and never touch a role that no rule names.

mod absent;
mod attempt;
mod audit;
mod binding;
mod brake;
mod circuit_breaker;
mod evaluate;
mod gone;
mod hidden;
mod history;
mod leave;
mod naming;
mod pause;
mod persons;
mod race;
mod read;
mod record;
mod requeue;
mod restore;
mod slow;
mod turns;
mod write;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span};

use super::limits::LimitsInForce;
use super::permit::RateLimiter;
use crate::auth0::{EXCHANGES_PER_CALL, Reader, Writer};
use crate::config::RestoreConfig;
use crate::lifecycle::Readiness;
use crate::metrics::Metrics;
use crate::store::{Channel, Store, StoreError};
use attempt::{AttemptError, Begun};
use circuit_breaker::CircuitBreaker;
use rolekeeper_domain::brake::BrakeLimits;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::limits::Limits;
use rolekeeper_domain::rule::Rules;

/// Name of the stage in readiness and logs.
pub(super) const STAGE: &str = "reconcile";
/// Interval at which the queue is polled without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Attempts in flight. At the fastest plan (50 calls a second) and a slow response (300 ms) this keeps up.
const MAX_IN_FLIGHT: usize = 16;
/// Part of a lease beyond the calls: our own transactions.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// Extra time beyond the request timeout for an unacknowledged write to take effect before the user is attempted again.
const SETTLE_MARGIN: Duration = Duration::from_secs(2);

/// The reconciler under the rules and limits of one leadership.
#[derive(Clone)]
pub(super) struct Reconcile {
    store: Store,
    reader: Reader,
    writer: Writer,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    rules: Arc<Rules>,
    limits: LimitsInForce,
    fingerprint: String,
    writes: bool,
    default_name: Option<DisplayName>,
    verify_after: Duration,
    brake: BrakeLimits,
    restores: RestoreConfig,
    request_timeout: Duration,
    rate_limiter: Arc<RateLimiter>,
    breaker: Arc<Mutex<CircuitBreaker>>,
    passing: Arc<leave::Passing>,
    in_vain: Arc<Mutex<slow::InVain>>,
    /// Signals that a user is due.
    wake: Arc<Notify>,
}

/// The dependencies of the reconciler.
pub(super) struct Deps {
    pub(super) store: Store,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Readiness,
    pub(super) rules: Arc<Rules>,
    pub(super) limits: LimitsInForce,
    pub(super) restores: RestoreConfig,
    pub(super) rate_limiter: Arc<RateLimiter>,
    pub(super) default_name: Option<DisplayName>,
    pub(super) verify_after: Duration,
    pub(super) request_timeout: Duration,
}

impl Reconcile {
    /// Builds the reconciler; nothing runs yet.
    pub(super) fn new(deps: Deps) -> Self {
        let held = deps.limits.now();
        Self {
            store: deps.store,
            reader: deps.reader,
            writer: deps.writer,
            metrics: deps.metrics,
            readiness: deps.readiness,
            fingerprint: deps.rules.fingerprint(),
            rules: deps.rules,
            limits: deps.limits,
            writes: held.writes(),
            default_name: deps.default_name,
            verify_after: deps.verify_after,
            brake: held.brake(),
            restores: deps.restores,
            request_timeout: deps.request_timeout,
            rate_limiter: deps.rate_limiter,
            breaker: Arc::default(),
            passing: Arc::default(),
            in_vain: Arc::default(),
            wake: Arc::default(),
        }
    }

    /// The same reconciler under these rules and limits. `in_force` shows when the limits were read last.
    pub(super) fn under(&self, rules: Arc<Rules>, limits: &Limits, in_force: LimitsInForce) -> Arc<Self> {
        Arc::new(Self {
            fingerprint: rules.fingerprint(),
            rules,
            writes: limits.writes(),
            brake: limits.brake(),
            limits: in_force,
            ..self.clone()
        })
    }

    /// Whether the rules of this reconciler are the ones in force.
    pub(super) async fn knows_the_rules_in_force(&self) -> Result<bool, StoreError> {
        self.store.rules_are_in_force(&self.fingerprint).await
    }

    /// Checks that the database belongs to this tenant. Returns whether it belongs to one already.
    pub(super) async fn check_tenant(&self) -> Result<bool, StoreError> {
        self.store.check_tenant(&self.reader.tenant()).await
    }

    /// Binds the database to the tenant unless it is `bound`, and logs what waits for the operator.
    pub(super) async fn begin_leadership(&self, bound: bool) -> Result<(), StoreError> {
        info!(writes = self.writes, "reconciling");
        if !bound {
            self.bind().await?;
        }
        self.log_engaged_brakes().await?;
        self.log_engaged_gone_brake().await
    }

    /// How long an unacknowledged write may still take to arrive.
    fn settle(&self) -> Duration {
        self.request_timeout + SETTLE_MARGIN
    }

    /// Wakes the queue on notifications. The first wake covers users that were queued before the worker listened.
    pub(super) async fn listen(&self) -> Result<(), StoreError> {
        let mut listener = self.store.listen(Channel::WorkQueue).await?;
        loop {
            self.wake.notify_one();
            listener.notified().await?;
        }
    }

    /// Claims users as permission and priority allow. `ending` ends it between two users, never during a claim.
    pub(super) async fn dispatch(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        ending: &CancellationToken,
    ) -> Result<(), StoreError> {
        let slots = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        for number in 0.. {
            let turn = ending.run_until_cancelled(self.turn(&slots)).await;
            let Some(Some((slot, half_open, mut permit))) = turn else {
                return Ok(());
            };
            while attempts.try_join_next().is_some() {}
            let until_record_attempt = self.rate_limiter.until_record_attempt();
            match self
                .begin(until_record_attempt.is_zero(), self.order(number, half_open))
                .await?
            {
                Begun::Settled => {}
                Begun::NoneDue => {
                    drop((permit, slot));
                    let wait = self.no_user_is_due(until_record_attempt);
                    match ending.run_until_cancelled(wait).await {
                        Some(Ok(true)) => {}
                        Some(Ok(false)) | None => return Ok(()),
                        Some(Err(why)) => return Err(why),
                    }
                }
                Begun::Claimed(mut taken) => {
                    if taken.claim.by_record {
                        permit.by_record();
                    }
                    let this = Arc::clone(self);
                    let claim = &taken.claim;
                    let span = info_span!("attempt", user.id = claim.user.as_str(), attempt = claim.attempts);
                    let attempt = async move {
                        let began = Instant::now();
                        // This user alone is affected; other users must not wait. The attempt's Postgres transaction is
                        // rolled back.
                        let ended = AssertUnwindSafe(this.attempt(&mut taken, &mut permit)).catch_unwind();
                        let ended = ended.await.unwrap_or(Err(AttemptError::Panicked));
                        this.finish_attempt(&taken.claim, began, permit.last(), ended)
                            .await;
                        drop(slot);
                    };
                    attempts.spawn(attempt.instrument(span));
                    if half_open {
                        // One probe at a time while credentials are in doubt.
                        while attempts.join_next().await.is_some() {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// Lease of one attempt: the longest duration of two calls, and our own transactions.
pub(super) fn lease_for(request_timeout: Duration) -> Duration {
    request_timeout * 2 * EXCHANGES_PER_CALL + LEASE_MARGIN
}
