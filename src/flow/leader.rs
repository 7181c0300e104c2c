//! The work that one worker does alone: reconcile, sweep, walk, announce, the chain, the gap filler and the checks of the tenant's log.
//!
//! Owns the lock, the check that this worker's rules are in force, and the readiness of the stage. Must never end a
//! leadership before the attempts in flight have completed, and never change rules or limits during one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::accept::Accept;
use super::announce::Announce;
use super::chain::Chain;
use super::confirm::Confirm;
use super::drain::DrainSamples;
use super::erase_deleted::EraseDeleted;
use super::gap_filler::GapFiller;
use super::hand_over::{HandOver, LEFT_FOR};
use super::limits::LimitsInForce;
use super::permit::RateLimiter;
use super::presence::Paced;
use super::reconcile::{self, Dispatcher, STAGE, lease_for};
use super::retry_loop::RetryLoop;
use super::silence::SilenceCheck;
use super::sweep::Sweep;
use super::walk::Walk;
use crate::auth0::{LogReader, Reader, Writer};
use crate::bus::Bus;
use crate::config::{ReconcileConfig, RestoreConfig};
use crate::lifecycle::Readiness;
use crate::metrics::Metrics;
use crate::store::{CHECK_EVERY, Lock, LockGuard, Store, StoreError};
use rolekeeper_domain::rule::Rules;

/// How long a worker waits to read rules in force that it does not know yet.
const RULES_WITHIN: Duration = Duration::from_secs(2);
/// Interval at which a standby tries to take the lock.
const STANDBY_POLL: Duration = Duration::from_millis(500);
/// Wait between two sums of counters while they change: a brake reads the changes that are not summed.
const SUM_AGAIN: Duration = Duration::from_millis(200);
/// The same while nothing changes.
const SUM_IDLE: Duration = Duration::from_secs(1);

/// The dependencies of the leader.
pub struct Deps {
    /// Facts, queue and audit.
    pub store: Store,
    /// The stream where completed changes are announced.
    pub bus: Bus,
    /// Reads users at Auth0.
    pub reader: Reader,
    /// Writes users at Auth0.
    pub writer: Writer,
    /// Reads the tenant's log to fill gaps.
    pub logs: LogReader,
    /// Metrics of this worker.
    pub metrics: Arc<Metrics>,
    /// Readiness of the stage.
    pub readiness: Readiness,
    /// The rules in force; they may change while the stage runs.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Whether roles of other clients are restored, and which roles are never added.
    pub restores: RestoreConfig,
    /// The limits in force, tightened by this worker's own.
    pub limits: LimitsInForce,
    /// The tenant, and the share of its rate limit that may be used.
    pub config: ReconcileConfig,
}

/// Becomes the leader whenever no other worker is.
pub struct Leader {
    rules: watch::Receiver<Arc<Rules>>,
    limits: LimitsInForce,
    /// Reads a second that the plan allows.
    plan_reads_per_s: f64,
    rate_limiter: Arc<RateLimiter>,
    hand_over: HandOver,
    work: Work,
}

/// The work of one leadership, under its rules and limits.
struct Work {
    store: Store,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    dispatcher: Arc<Dispatcher>,
    sweep: Sweep,
    walk: Walk,
    announce: Announce,
    chain: Chain,
    silence: SilenceCheck,
    drain: DrainSamples,
    gap_filler: Option<GapFiller>,
    confirm: Confirm,
    erase_deleted: Option<EraseDeleted>,
}

impl Leader {
    /// Builds the leader; nothing runs yet.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        let (now, held, plan) = (
            Arc::clone(&deps.rules.borrow()),
            deps.limits.now(),
            deps.config.auth0.plan,
        );
        let rate_limiter = RateLimiter::new(plan, held.reserve());
        let hand_over = HandOver::new(deps.bus.clone());
        // None where the plan counts log reads separately from reads of users.
        let of_logs = (!plan.has_bucket_for_logs()).then(|| Arc::clone(&rate_limiter));
        let work = Work {
            sweep: Sweep {
                store: deps.store.clone(),
                rules: Arc::clone(&now),
                writes: held.writes(),
                verify_after: deps.config.verify_after,
                left_over_after: lease_for(deps.config.auth0.timeout),
                every: deps.config.sweep_interval,
                metrics: Arc::clone(&deps.metrics),
                reads_per_s: plan.reads_per_second() * (1.0 - held.reserve()),
            },
            walk: Walk {
                store: deps.store.clone(),
                rules: Arc::clone(&now),
                writes: held.writes(),
                every: deps.config.sweep_interval,
            },
            silence: SilenceCheck {
                store: deps.store.clone(),
                after: deps.config.tenant_log.silent_after,
            },
            drain: DrainSamples::new(deps.store.clone(), Arc::clone(&deps.metrics)),
            confirm: Confirm {
                store: deps.store.clone(),
                logs: deps.logs.clone(),
                metrics: Arc::clone(&deps.metrics),
                rate_limiter: of_logs.clone(),
            },
            gap_filler: deps.config.tenant_log.gap_filler.map(|config| GapFiller {
                store: deps.store.clone(),
                accept: Accept::new(deps.bus.clone()),
                logs: deps.logs,
                metrics: Arc::clone(&deps.metrics),
                config,
                rate_limiter: of_logs,
            }),
            announce: Announce::new(deps.store.clone(), deps.bus, Arc::clone(&deps.metrics)),
            chain: Chain {
                store: deps.store.clone(),
            },
            erase_deleted: deps.config.erase_deleted_after.map(|after| EraseDeleted {
                store: deps.store.clone(),
                reader: deps.reader.clone(),
                paced: Paced {
                    rate_limiter: Arc::clone(&rate_limiter),
                    metrics: Arc::clone(&deps.metrics),
                },
                after,
                every: deps.config.sweep_interval,
            }),
            dispatcher: Arc::new(Dispatcher::new(reconcile::Deps {
                store: deps.store.clone(),
                reader: deps.reader,
                writer: deps.writer,
                metrics: Arc::clone(&deps.metrics),
                readiness: deps.readiness.clone(),
                rules: now,
                limits: deps.limits.clone(),
                restores: deps.restores,
                rate_limiter: Arc::clone(&rate_limiter),
                plan,
                default_name: deps.config.default_display_name,
                verify_after: deps.config.verify_after,
                request_timeout: deps.config.auth0.timeout,
            })),
            store: deps.store,
            metrics: deps.metrics,
            readiness: deps.readiness,
        };
        Self {
            rules: deps.rules,
            limits: deps.limits,
            plan_reads_per_s: plan.reads_per_second(),
            rate_limiter,
            hand_over,
            work,
        }
    }

    /// Leads, or stands by, until the stop is requested.
    ///
    /// # Errors
    /// None: every failure is retried.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut retry = RetryLoop::new(STAGE);
        self.work.readiness.not_ready(STAGE, "starting");
        while !stop.is_cancelled() {
            self.take_over();
            let changed = (&mut self.rules, &mut self.limits);
            let lead = self.work.lead(&mut retry, changed, &mut self.hand_over, &stop);
            let ended = Box::pin(lead).await;
            // Gauges that only the leader sets.
            self.work.metrics.reconcile_active.set(0);
            self.work.metrics.circuit_breaker_open.set(0);
            self.work.metrics.tenant_log.refused.set(0);
            self.work.metrics.reconcile.erasures_due.set(0);
            self.work.metrics.reconcile.oldest_verification.set(0.0);
            match ended {
                Ok(pause) => {
                    let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
                Err(why) => {
                    self.work.readiness.not_ready(STAGE, why.shown());
                    retry.wait(&why, &stop).await;
                }
            }
        }
        Ok(())
    }

    /// Takes the current rules and limits for the next leadership.
    fn take_over(&mut self) {
        let rules = Arc::clone(&self.rules.borrow_and_update());
        let limits = self.limits.take_over();
        let (work, writes) = (&mut self.work, limits.writes());
        (work.sweep.rules, work.walk.rules) = (Arc::clone(&rules), Arc::clone(&rules));
        (work.sweep.writes, work.walk.writes) = (writes, writes);
        work.sweep.reads_per_s = self.plan_reads_per_s * (1.0 - limits.reserve());
        self.rate_limiter.set_reserve(limits.reserve());
        work.metrics.writes_enabled.set(i64::from(writes));
        work.dispatcher = work.dispatcher.under(rules, &limits, self.limits.clone());
    }
}

impl Work {
    /// One leadership: the period as holder of the lock. Returns how long to wait before the next.
    async fn lead(
        &self,
        retry: &mut RetryLoop,
        (rules, limits): (&mut watch::Receiver<Arc<Rules>>, &mut LimitsInForce),
        hand_over: &mut HandOver,
        stop: &CancellationToken,
    ) -> Result<Duration, StoreError> {
        // Also where another worker leads from now on.
        self.dispatcher.give_back().await?;
        // Checked before the lock: a worker that does not know the rules in force takes no lock, and is not ready.
        if !self.dispatcher.knows_the_rules_in_force().await? {
            // Other rules came into force a moment ago; this worker is about to read them.
            let _ = tokio::time::timeout(RULES_WITHIN, rules.changed()).await;
            return Ok(Duration::ZERO);
        }
        let bound = self.dispatcher.check_tenant().await?;
        let Some(mut lock) = self.store.try_lock(Lock::Reconcile).await? else {
            retry.succeeded();
            self.readiness.ready(STAGE, "standby");
            return Ok(STANDBY_POLL);
        };
        retry.succeeded();
        self.readiness.ready(STAGE, "active");
        self.metrics.reconcile_active.set(1);
        self.dispatcher.begin_leadership(bound).await?;
        let mut attempts = JoinSet::new();
        let (ending, mut all_dispatched, mut pause) = (CancellationToken::new(), false, Duration::ZERO);
        let mut dispatch = Box::pin(self.dispatcher.dispatch(&mut attempts, &ending));
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            _ = rules.changed() => Ok(()),
            _ = limits.changed() => Ok(()),
            () = hand_over.is_due() => {
                pause = LEFT_FOR;
                Ok(())
            }
            kept = self.keep(&mut lock) => kept,
            ended = self.dispatcher.listen() => ended,
            ended = &mut dispatch => {
                all_dispatched = true;
                ended
            }
            never = self.sweep.run() => match never {},
            never = self.sum_counters() => match never {},
            never = self.drain.run() => match never {},
            never = Box::pin(self.chain.run()) => match never {},
            never = self.dispatcher.keep_giving_back() => match never {},
            ended = Box::pin(self.walk.run()) => ended,
            ended = self.silence.run() => ended,
            ended = Box::pin(self.fill_gaps()) => ended,
            ended = Box::pin(self.confirm.run()) => ended,
            never = Box::pin(self.erase_deleted()) => match never {},
            ended = Box::pin(self.announce.run(stop)) => ended,
        };
        // A claim under way is completed and its user attempted; otherwise the user would wait until the lease expires.
        ending.cancel();
        if all_dispatched {
            drop(dispatch);
        } else if let Err(why) = dispatch.await {
            warn!("a user may still be claimed after this worker stopped reconciling: {why}");
        }
        // Attempts in flight complete, so that a write that was sent is recorded.
        while attempts.join_next().await.is_some() {}
        ended.map(|()| pause)
    }

    /// Shows Postgres, and readiness, that the worker is alive; ends when the lock is lost.
    async fn keep(&self, lock: &mut LockGuard) -> Result<(), StoreError> {
        let mut every = tokio::time::interval_at(Instant::now() + CHECK_EVERY, CHECK_EVERY);
        loop {
            every.tick().await;
            lock.check().await?;
            self.readiness.alive(STAGE);
        }
    }

    /// Sums the changes of the counters. A failure only leaves more to sum.
    async fn sum_counters(&self) -> Infallible {
        loop {
            let wait = match self.store.sum_counters().await {
                Ok(1..) => SUM_AGAIN,
                Ok(_) | Err(_) => SUM_IDLE,
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Erases users who were deleted at Auth0, where the setting asks for it.
    async fn erase_deleted(&self) -> Infallible {
        match &self.erase_deleted {
            Some(erase_deleted) => erase_deleted.run().await,
            None => std::future::pending().await,
        }
    }

    /// Reads records that the log stream dropped, where the setting asks for it.
    async fn fill_gaps(&self) -> Result<(), StoreError> {
        match &self.gap_filler {
            Some(gap_filler) => gap_filler.run().await,
            None => std::future::pending().await,
        }
    }
}
