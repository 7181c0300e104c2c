//! All Prometheus metrics of the worker.
//!
//! Owns names, help texts and labels. Labels are closed sets, and their series start at 0.
//! Must never use a user id, a playlist, a role or an error text as a label.

mod api;
mod fold;
mod reconcile;
mod room;
mod rules;
mod series;
mod tenant_log;

use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use api::ApiMetrics;
pub use fold::FoldMetrics;
pub use reconcile::ReconcileMetrics;
pub use room::RoomMetrics;
pub use rules::RulesMetrics;
pub use tenant_log::TenantLogMetrics;

/// Label of a metric that has one series per stream.
const STREAM: &str = "stream";

/// All metrics of one process, on their own registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Webhook requests by response.
    pub webhook_requests: IntCounterVec,
    /// Log records that the webhook stored.
    pub webhook_records: IntCounterVec,
    /// Messages folded, by stream.
    pub folded: IntCounterVec,
    /// Messages that could not be folded, by stream and reason.
    pub dead_letters: IntCounterVec,
    /// Messages dropped because they name an erased user, by stream.
    pub erased_dropped: IntCounterVec,
    /// App events dropped because their id was already counted.
    pub repeats_dropped: IntCounter,
    /// Restarts of a reader at the cursor.
    pub reader_restarts: IntCounterVec,
    /// Duration of one transaction of a fold.
    pub fold_seconds: HistogramVec,
    /// 1 while this worker folds the stream.
    pub fold_active: IntGaugeVec,
    /// Messages behind the cursor, not yet folded.
    pub fold_lag_messages: IntGaugeVec,
    /// Age of the oldest message that is not yet folded.
    pub fold_lag_seconds: GaugeVec,
    /// Share of the stream's size limit that is free.
    pub stream_headroom: GaugeVec,
    /// Time at which the newest message of the stream was stored.
    pub stream_last_message: GaugeVec,
    /// 1 while a recorded loss stops the fold.
    pub stream_loss: IntGaugeVec,
    /// Calls to Auth0 by kind and result.
    pub auth0_calls: IntCounterVec,
    /// Changes of roles by kind and outcome.
    pub role_changes: IntCounterVec,
    /// Display names written, by source.
    pub display_names: IntCounterVec,
    /// Display names that wait to be written, or were refused.
    pub display_names_open: IntGaugeVec,
    /// Role changes that are known to be stored in `ROLE_CHANGES`.
    pub announced: IntCounter,
    /// Completed role changes that are not announced yet.
    pub unannounced: IntGauge,
    /// Earned roles that another client removed, by what was done about it.
    pub taken_away: IntCounterVec,
    /// 1 while the rules file cannot be used.
    pub rules_refused: IntGauge,
    /// The rules in force.
    pub rules: RulesMetrics,
    /// Races with other clients, by outcome.
    pub races: IntCounterVec,
    /// Time from the stored event that crossed the threshold to the written role.
    pub role_lag: Histogram,
    /// 1 while this worker reconciles.
    pub reconcile_active: IntGauge,
    /// 1 while the circuit breaker is open.
    pub reconcile_paused: IntGauge,
    /// Times the circuit breaker opened.
    pub breaker_opened: IntCounter,
    /// Role changes that Auth0 refused to write, by kind.
    pub role_writes_refused: IntCounterVec,
    /// 1 when roles are written, 0 in shadow mode.
    pub writes_enabled: IntGauge,
    /// 1 while a brake holds changes of its kind.
    pub brake_engaged: IntGaugeVec,
    /// 1 while the operator has paused rolekeeper.
    pub paused: IntGauge,
    /// 1 while writes are stopped because another program writes under our client id.
    pub unknown_write: IntGauge,
    /// Users in the work queue, by state.
    pub nominations: IntGaugeVec,
    /// Time since the longest-due user became due, in seconds.
    pub oldest_due: Gauge,
    /// Holders of managed roles, adopted or not.
    pub holders: IntGaugeVec,
    /// 1 while Postgres responds to the scrape.
    pub database_up: IntGauge,
    /// 1 while NATS is connected.
    pub bus_up: IntGauge,
    /// Panics that ended a request, an attempt or a stage.
    pub panics: IntCounter,
    /// Deliveries of the log stream that wait for memory.
    pub webhook_waiting: IntGauge,
    /// A fold that makes no progress.
    pub fold: FoldMetrics,
    /// The data API.
    pub api: ApiMetrics,
    /// The tenant's log: its stream, and the gap filler.
    pub tenant_log: TenantLogMetrics,
    /// Free space in the streams.
    pub room: RoomMetrics,
    /// Reads without a write, and the sweep.
    pub reconcile: ReconcileMetrics,
}

/// Makes metrics and registers them. A duplicate name is a bug that every start would show.
struct Maker(Registry);

impl Maker {
    fn keep<C: prometheus::core::Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("the definition of a metric is constant and valid");
        self.0
            .register(Box::new(metric.clone()))
            .expect("each metric has a name of its own");
        metric
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> IntGaugeVec {
        self.keep(IntGaugeVec::new(Opts::new(name, help), &[label]))
    }

    fn floats(&self, name: &str, help: &str, label: &str) -> GaugeVec {
        self.keep(GaugeVec::new(Opts::new(name, help), &[label]))
    }

    fn float(&self, name: &str, help: &str) -> Gauge {
        self.keep(Gauge::with_opts(Opts::new(name, help)))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::with_opts(Opts::new(name, help)))
    }
}

impl Metrics {
    /// All metrics, at 0. `streams` and `reasons` are the closed label sets of the fold.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one entry a metric, in one place")]
    pub fn new(streams: &[&str], reasons: &[&str]) -> Self {
        let maker = Maker(Registry::new());
        let seconds = vec![
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0,
        ];
        let lag = vec![
            0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
        ];
        let fold_time = HistogramOpts::new(
            "rolekeeper_fold_transaction_seconds",
            "Duration of one transaction of the fold",
        );
        let role_lag = HistogramOpts::new(
            "rolekeeper_role_lag_seconds",
            "Time from the stored event with which a count crossed a threshold to the written role",
        );
        let metrics = Self {
            webhook_requests: maker.counter(
                "rolekeeper_webhook_requests_total",
                "Deliveries of the log stream, by response",
                &["answer"],
            ),
            webhook_records: maker.counter(
                "rolekeeper_webhook_records_total",
                "Log records stored from the webhook",
                &["kind"],
            ),
            folded: maker.counter(
                "rolekeeper_folded_messages_total",
                "Messages folded into Postgres",
                &[STREAM],
            ),
            dead_letters: maker.counter(
                "rolekeeper_dead_letters_total",
                "Messages that could not be folded and were kept as dead letters, by reason",
                &[STREAM, "reason"],
            ),
            erased_dropped: maker.counter(
                "rolekeeper_erased_dropped_total",
                "Messages dropped because they name an erased user",
                &[STREAM],
            ),
            repeats_dropped: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_repeats_dropped_total",
                "App events dropped as duplicates: the same event was counted before, inside DEDUP_HORIZON",
            ))),
            reader_restarts: maker.counter(
                "rolekeeper_reader_restarts_total",
                "Times a reader started again at the cursor",
                &[STREAM],
            ),
            fold_seconds: maker.keep(HistogramVec::new(fold_time.buckets(seconds), &[STREAM])),
            fold_active: maker.gauges(
                "rolekeeper_fold_active",
                "1 while this worker folds the stream",
                STREAM,
            ),
            fold_lag_messages: maker.gauges(
                "rolekeeper_fold_lag_messages",
                "Messages stored in the stream and not yet folded; of the active worker",
                STREAM,
            ),
            fold_lag_seconds: maker.floats(
                "rolekeeper_fold_lag_seconds",
                "Age of the last folded message while others wait; of the active worker",
                STREAM,
            ),
            stream_headroom: maker.floats(
                "rolekeeper_stream_headroom_ratio",
                "Free share of the stream's size limit, 0 to 1; of the active worker",
                STREAM,
            ),
            stream_last_message: maker.floats(
                "rolekeeper_stream_last_message_timestamp_seconds",
                "Time at which the newest message of the stream was stored, Unix seconds; of the active worker",
                STREAM,
            ),
            stream_loss: maker.gauges(
                "rolekeeper_stream_loss",
                "1 while a loss is recorded for the stream and stops its fold; `rolekeeper accept-stream` goes on",
                STREAM,
            ),
            auth0_calls: maker.counter(
                "rolekeeper_auth0_calls_total",
                "Calls to the Management API, by call and result",
                &["call", "result"],
            ),
            role_changes: maker.counter(
                "rolekeeper_role_changes_total",
                "Role changes, by change and outcome",
                &["change", "outcome"],
            ),
            display_names: maker.counter(
                "rolekeeper_display_names_written_total",
                "Display names written: by default, or as the user requested",
                &["by"],
            ),
            display_names_open: maker.gauges(
                "rolekeeper_display_names",
                "Display names that wait to be written, or that Auth0 refused",
                "state",
            ),
            announced: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_announced_total",
                "Role changes announced in the stream ROLE_CHANGES",
            ))),
            unannounced: maker.gauge(
                "rolekeeper_unannounced_role_changes",
                "Completed role changes that are not announced yet",
            ),
            taken_away: maker.counter(
                "rolekeeper_roles_taken_away_total",
                "Managed roles found removed by another client although the user still earns them; answer: restored, or left removed",
                &["answer"],
            ),
            rules_refused: maker.gauge(
                "rolekeeper_rules_refused",
                "1 while this worker's rules file is invalid, or has the version of the rules in force but other content",
            ),
            rules: RulesMetrics::new(&maker),
            races: maker.counter(
                "rolekeeper_races_total",
                "Writes of other clients between our read and our write, by outcome",
                &["outcome"],
            ),
            role_lag: maker.keep(Histogram::with_opts(role_lag.buckets(lag))),
            reconcile_active: maker.gauge("rolekeeper_reconcile_active", "1 while this worker reconciles"),
            reconcile_paused: maker.gauge(
                "rolekeeper_reconcile_paused",
                "1 while the circuit breaker is open: no token, credentials or scopes refused, or many users in a row refused",
            ),
            breaker_opened: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_circuit_breaker_opened_total",
                "Times the circuit breaker opened because Auth0's responses concerned all users",
            ))),
            role_writes_refused: maker.counter(
                "rolekeeper_role_writes_refused_total",
                "Role changes that Auth0 refused to write",
                &["change"],
            ),
            writes_enabled: maker.gauge(
                "rolekeeper_writes_enabled",
                "1 when roles are written, 0 in shadow mode",
            ),
            brake_engaged: maker.gauges(
                "rolekeeper_brake_engaged",
                "1 while the brake holds all changes of this kind until `rolekeeper brake release` or `rolekeeper brake drop`",
                "change",
            ),
            paused: maker.gauge(
                "rolekeeper_paused",
                "1 while `rolekeeper pause` stops attempts and writes; `rolekeeper resume` goes on",
            ),
            unknown_write: maker.gauge(
                "rolekeeper_stopped_by_unknown_write",
                "1 while attempts and writes are stopped because another program writes under our client id; `rolekeeper resume --why` goes on",
            ),
            nominations: maker.gauges("rolekeeper_nominations", "Users in the work queue, by state", "state"),
            oldest_due: maker.keep(Gauge::with_opts(Opts::new(
                "rolekeeper_oldest_due_nomination_seconds",
                "Time since the longest-due user in the work queue became due",
            ))),
            holders: maker.gauges(
                "rolekeeper_role_holders",
                "Holders of managed roles; rolekeeper never takes a role from unadopted ones",
                "adoption",
            ),
            database_up: maker.gauge("rolekeeper_database_up", "1 when Postgres responded to this scrape"),
            bus_up: maker.gauge("rolekeeper_bus_up", "1 while NATS is connected"),
            panics: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_panics_total",
                "Panics that ended a request, an attempt or a stage; the log has each",
            ))),
            webhook_waiting: maker.gauge(
                "rolekeeper_webhook_waiting",
                "Deliveries of the log stream that wait for memory for their bodies",
            ),
            fold: FoldMetrics::new(&maker, streams),
            api: ApiMetrics::new(&maker),
            tenant_log: TenantLogMetrics::new(&maker),
            room: RoomMetrics::new(&maker, streams),
            reconcile: ReconcileMetrics::new(&maker),
            registry: maker.0,
        };
        metrics.create_series(streams, reasons);
        metrics
    }

    /// The text exposition format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory fails only if two families clash, which registration has refused already.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}
