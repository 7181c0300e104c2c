//! Makes roles at Auth0 match what facts and rules require, and display names match what users request.
//!
//! Owns the consumption of the queue: one worker at a time (an advisory lock, for economy), several attempts in flight,
//! never the same user twice (a lease, for safety). Events only say where to look; every trigger leads to the same
//! result. Must never write a change that is not in the audit, and never touch a role that no rule names.

mod audit;
mod binding;
mod brake;
mod breaker;
mod confirm;
mod evaluate;
mod gaps;
mod give_back;
mod gone;
mod hidden;
mod history;
mod leave;
mod look;
mod naming;
mod pause;
mod permit;
mod race;
mod read;
mod record;
mod restore;
mod slow;
mod terms;
mod turns;
mod write;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use super::accept::Accept;
use super::announce::Announce;
use super::limits::LimitsInForce;
use super::patience::Patience;
use super::silence::Silence;
use super::sweep::Sweep;
use super::walk::Walk;
use crate::auth0::{EXCHANGES_PER_CALL, LogReader, Reader, Writer};
use crate::bus::Bus;
use crate::config::RestoreConfig;
use crate::lifecycle::Readiness;
use crate::metrics::Metrics;
use crate::store::{CHECK_EVERY, Held, Lock, Store, StoreError, Wake};
use breaker::Breaker;
use confirm::Confirm;
use gaps::GapFiller;
use look::{Begun, LookError};
use permit::Gate;
use rolekeeper_domain::brake::BrakeLimits;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::rule::Rules;

const STAGE: &str = "reconcile";
/// How long a worker waits to read rules in force that it does not know yet.
const RULES_WITHIN: Duration = Duration::from_secs(2);
/// Interval at which a standby tries to take the lock.
const STANDBY_POLL: Duration = Duration::from_millis(500);
/// Interval at which the queue is polled without a notification.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);
/// Attempts in flight. At the fastest plan (50 calls a second) and a slow response (300 ms) this keeps up.
const LOOKS_IN_HAND: usize = 16;
/// Part of a lease beyond the calls: our own transactions.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// Extra time beyond the request timeout for an unacknowledged write to take effect before the user is attempted again.
const SETTLE_MARGIN: Duration = Duration::from_secs(2);

/// The reconciler under the rules and limits of one leadership.
#[derive(Clone)]
pub struct Reconcile {
    store: Store,
    reader: Reader,
    writer: Writer,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    rules: Arc<Rules>,
    changed: watch::Receiver<Arc<Rules>>,
    limits: LimitsInForce,
    fingerprint: String,
    writes: bool,
    default_name: Option<DisplayName>,
    verify_after: Duration,
    brake: BrakeLimits,
    restores: RestoreConfig,
    confirm: Confirm,
    request_timeout: Duration,
    /// Reads a second that the plan allows.
    plan_reads_per_s: f64,
    gate: Arc<Gate>,
    breaker: Arc<Mutex<Breaker>>,
    passing: Arc<leave::Passing>,
    in_vain: Arc<Mutex<slow::InVain>>,
    sweep: Sweep,
    walk: Walk,
    announce: Arc<Announce>,
    silence: Silence,
    gaps: Option<GapFiller>,
    /// Signals that a user is due.
    wake: Arc<Notify>,
}

/// The dependencies of the reconciler.
pub struct Parts {
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
    pub config: crate::config::ReconcileConfig,
}

impl Reconcile {
    /// Builds the reconciler; nothing runs yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            bus,
            reader,
            writer,
            logs,
            metrics,
            readiness,
            rules,
            restores,
            limits,
            config,
        } = parts;
        let held = limits.now();
        let gate = Gate::new(config.auth0.plan, held.reserve());
        // None where the plan counts log reads separately from reads of users.
        let of_logs = (!config.auth0.plan.has_bucket_for_logs()).then(|| Arc::clone(&gate));
        let confirm = Confirm {
            store: store.clone(),
            logs: logs.clone(),
            metrics: Arc::clone(&metrics),
            gate: of_logs.clone(),
        };
        let gaps = config.tenant_log.gap_filler.map(|gap_filler| GapFiller {
            store: store.clone(),
            accept: Accept::new(bus.clone()),
            logs,
            metrics: Arc::clone(&metrics),
            config: gap_filler,
            gate: of_logs,
        });
        let now = Arc::clone(&rules.borrow());
        Self {
            sweep: Sweep {
                store: store.clone(),
                rules: Arc::clone(&now),
                writes: held.writes(),
                verify_after: config.verify_after,
                left_over_after: lease_for(config.auth0.timeout),
                every: config.sweep_interval,
                metrics: Arc::clone(&metrics),
                reads_per_s: config.auth0.plan.reads_per_second() * (1.0 - held.reserve()),
            },
            walk: Walk {
                store: store.clone(),
                rules: Arc::clone(&now),
                writes: held.writes(),
                every: config.sweep_interval,
            },
            silence: Silence {
                store: store.clone(),
                after: config.tenant_log.silent_after,
            },
            gaps,
            announce: Arc::new(Announce::new(store.clone(), bus, Arc::clone(&metrics))),
            store,
            reader,
            writer,
            metrics,
            readiness,
            fingerprint: now.fingerprint(),
            rules: now,
            changed: rules,
            limits,
            writes: held.writes(),
            default_name: config.default_display_name,
            verify_after: config.verify_after,
            brake: held.brake(),
            restores,
            confirm,
            request_timeout: config.auth0.timeout,
            plan_reads_per_s: config.auth0.plan.reads_per_second(),
            gate,
            breaker: Arc::default(),
            passing: Arc::default(),
            in_vain: Arc::default(),
            wake: Arc::default(),
        }
    }

    /// How long an unacknowledged write may still take to arrive.
    fn settle(&self) -> Duration {
        self.request_timeout + SETTLE_MARGIN
    }

    /// Reconciles until the stop is requested.
    ///
    /// # Errors
    /// None: every failure is retried.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let mut patience = Patience::new(STAGE);
        self.readiness.not_ready(STAGE, "starting");
        while !stop.is_cancelled() {
            let now = self.under_new_rules();
            let changed = (&mut self.changed, &mut self.limits);
            let ended = now.term(&mut patience, changed, &stop).await;
            self.metrics.reconcile_active.set(0);
            match ended {
                Ok(pause) => {
                    let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
                Err(why) => {
                    self.readiness.not_ready(STAGE, why.shown());
                    patience.wait(&why, &stop).await;
                }
            }
        }
        Ok(())
    }

    /// One leadership: the period as holder of the lock. Returns how long to wait before the next.
    async fn term(
        self: &Arc<Self>,
        patience: &mut Patience,
        (rules, limits): (&mut watch::Receiver<Arc<Rules>>, &mut LimitsInForce),
        stop: &CancellationToken,
    ) -> Result<Duration, StoreError> {
        // Checked before the lock: a worker that does not know the rules in force takes no lock, and is not ready.
        if !self.store.rules_are_in_force(&self.fingerprint).await? {
            // Other rules came into force a moment ago; this worker is about to read them.
            let _ = tokio::time::timeout(RULES_WITHIN, rules.changed()).await;
            return Ok(Duration::ZERO);
        }
        let bound = self.store.check_tenant(&self.reader.tenant()).await?;
        let Some(mut held) = self.store.try_lock(Lock::Reconcile).await? else {
            patience.succeeded();
            self.readiness.ready(STAGE, "standby");
            return Ok(STANDBY_POLL);
        };
        patience.succeeded();
        self.readiness.ready(STAGE, "active");
        self.metrics.reconcile_active.set(1);
        info!(writes = self.writes, "reconciling");
        if !bound {
            self.bind().await?;
        }
        self.remind().await?;
        self.remind_of_gone().await?;
        let mut looks = JoinSet::new();
        let (ending, mut all_dispatched) = (CancellationToken::new(), false);
        let mut dispatch = Box::pin(self.dispatch(&mut looks, &ending));
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            _ = rules.changed() => Ok(()),
            _ = limits.changed() => Ok(()),
            kept = self.keep(&mut held) => kept,
            heard = self.hear() => heard,
            ended = &mut dispatch => {
                all_dispatched = true;
                ended
            }
            never = self.sweep.run() => match never {},
            never = self.sum_counters() => match never {},
            ended = Box::pin(self.walk.run()) => ended,
            ended = self.silence.run() => ended,
            ended = Box::pin(self.fill_gaps()) => ended,
            ended = Box::pin(self.confirm.run()) => ended,
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
        while looks.join_next().await.is_some() {}
        ended.map(|()| Duration::ZERO)
    }

    /// Shows Postgres, and readiness, that the worker is alive; ends when the lock is lost.
    async fn keep(&self, held: &mut Held) -> Result<(), StoreError> {
        let mut every = tokio::time::interval_at(Instant::now() + CHECK_EVERY, CHECK_EVERY);
        loop {
            every.tick().await;
            held.check().await?;
            self.readiness.alive(STAGE);
        }
    }

    /// Reads records that the log stream dropped, where the setting asks for it.
    async fn fill_gaps(&self) -> Result<(), StoreError> {
        match &self.gaps {
            Some(gaps) => gaps.run().await,
            None => std::future::pending().await,
        }
    }

    /// Wakes the queue on notifications. The first wake covers users that were queued before the worker listened.
    async fn hear(&self) -> Result<(), StoreError> {
        let mut waker = self.store.listen(Wake::Nominations).await?;
        loop {
            self.wake.notify_one();
            waker.heard().await?;
        }
    }

    /// Claims users as permission and urgency allow. `ending` ends it between two users, never during a claim.
    async fn dispatch(
        self: &Arc<Self>,
        looks: &mut JoinSet<()>,
        ending: &CancellationToken,
    ) -> Result<(), StoreError> {
        let slots = Arc::new(Semaphore::new(LOOKS_IN_HAND));
        for number in 0.. {
            let turn = ending.run_until_cancelled(self.turn(&slots)).await;
            let Some(Some((slot, probing, mut permit))) = turn else {
                return Ok(());
            };
            while looks.try_join_next().is_some() {}
            let until_record_look = self.gate.until_record_look();
            match self
                .begin(until_record_look.is_zero(), self.order(number, probing))
                .await?
            {
                Begun::Settled => {}
                Begun::Nobody => {
                    drop((permit, slot));
                    let wait = self.no_user_is_due(until_record_look);
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
                    let span = info_span!("look", user.id = claim.user.as_str(), attempt = claim.attempts);
                    let look = async move {
                        let began = Instant::now();
                        // This user alone is affected; other users must not wait. The attempt's Postgres transaction is
                        // rolled back.
                        let ended = AssertUnwindSafe(this.look(&mut taken, &mut permit)).catch_unwind();
                        let ended = ended.await.unwrap_or(Err(LookError::Panicked));
                        this.give_back(&taken.claim, began, permit.last(), ended).await;
                        drop(slot);
                    };
                    looks.spawn(look.instrument(span));
                    if probing {
                        // One probe at a time while credentials are in doubt.
                        while looks.join_next().await.is_some() {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// Lease of one attempt: the longest duration of two calls, and our own transactions.
fn lease_for(request_timeout: Duration) -> Duration {
    request_timeout * 2 * EXCHANGES_PER_CALL + LEASE_MARGIN
}
