//! All metrics of one worker, and their registry.
//!
//! Owns the metrics that belong to no file of one subject, and the text that a scrape reads. Must never hold a value that
//! only the database has: that is read at the scrape.

use prometheus::{Encoder as _, Gauge, Histogram, IntCounter, IntGauge, IntGaugeVec, Registry, TextEncoder};

use super::api::ApiMetrics;
use super::define::metrics;
use super::described::Described;
use super::family::{Counters, Floats, Gauges, Histograms, Maker};
use super::fold::FoldMetrics;
use super::labels::{
    Adoption, Braked, Call, CallResult, ChangeOutcome, Delivered, Delivery, Later, NameState, PinState,
    QueueState, Stream, Treatment,
};
#[cfg(target_os = "linux")]
use super::process;
use super::reconcile::ReconcileMetrics;
use super::room::RoomMetrics;
use super::rules::RulesMetrics;
use super::tenant_log::TenantLogMetrics;
use rolekeeper_domain::display_name::NameSource;
use rolekeeper_domain::event::Reason;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::race::RaceOutcome;

metrics! {
    /// All metrics of one process, on their own registry.
    #[expect(clippy::doc_markdown, reason = "a doc comment here is a HELP text, which has no markup")]
    pub struct Metrics {
        /// Always 1; the label has the release of this worker
        build_info: IntGaugeVec = "rolekeeper_build_info" by ["version"],
        /// Deliveries of the log stream, by response
        pub webhook_requests: Counters<Delivery> = "rolekeeper_webhook_requests_total",
        /// Log records stored from the webhook
        pub webhook_records: Counters<Delivered> = "rolekeeper_webhook_records_total",
        /// Messages folded into Postgres
        pub folded: Counters<Stream> = "rolekeeper_folded_messages_total",
        /// Messages that could not be folded and were kept as dead letters, by reason
        pub dead_letters: Counters<(Stream, Reason)> = "rolekeeper_dead_letters_total",
        /// Messages dropped because they name an erased user
        pub erased_dropped: Counters<Stream> = "rolekeeper_erased_dropped_total",
        /// App events dropped as duplicates: the same event was counted before, inside DEDUP_WINDOW
        pub duplicates_dropped: IntCounter = "rolekeeper_duplicates_dropped_total",
        /// Times a reader started again at the cursor
        pub reader_restarts: Counters<Stream> = "rolekeeper_reader_restarts_total",
        /// Duration of one transaction of the fold
        pub fold_seconds: Histograms<Stream> = "rolekeeper_fold_transaction_seconds"
            in [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0],
        /// 1 while this worker folds the stream
        pub fold_active: Gauges<Stream> = "rolekeeper_fold_active",
        /// Messages stored in the stream and not yet folded; of the active worker
        pub fold_lag_messages: Gauges<Stream> = "rolekeeper_fold_lag_messages",
        /// Age of the last folded message while others wait; of the active worker
        pub fold_lag_seconds: Floats<Stream> = "rolekeeper_fold_lag_seconds",
        /// Free share of the stream's size limit, 0 to 1; of the active worker
        pub stream_headroom: Floats<Later<Stream>> = "rolekeeper_stream_headroom_ratio",
        /// Time at which the newest message of the stream was stored, Unix seconds; of the active worker
        pub stream_last_message: Floats<Later<Stream>> = "rolekeeper_stream_last_message_timestamp_seconds",
        /// 1 while a loss is recorded for the stream and stops its fold; `rolekeeper accept-stream` goes on
        pub stream_loss: Gauges<Stream> = "rolekeeper_stream_loss",
        /// Calls to the Management API, by call and result
        pub auth0_calls: Counters<(Call, CallResult)> = "rolekeeper_auth0_calls_total",
        /// Role changes, by change and outcome
        pub role_changes: Counters<(RoleChange, ChangeOutcome)> = "rolekeeper_role_changes_total",
        /// Display names written: by default, or as the user requested
        pub display_names: Counters<NameSource> = "rolekeeper_display_names_written_total",
        /// Display names that wait to be written, or that Auth0 refused
        pub display_names_open: Gauges<NameState> = "rolekeeper_display_names",
        /// Role changes announced in the stream ROLE_CHANGES
        pub announced: IntCounter = "rolekeeper_announced_total",
        /// Completed role changes that are not announced yet
        pub unannounced: IntGauge = "rolekeeper_unannounced_role_changes",
        /// Managed roles found removed by another client although the user still earns them; outcome: restored, left removed,
        /// pinned off, or held by the brake
        pub externally_removed: Counters<Treatment> = "rolekeeper_roles_externally_removed_total",
        /// 1 while this worker's rules file is invalid, or has the version of the rules in force but other content
        pub rules_refused: IntGauge = "rolekeeper_rules_refused",
        /// Writes of other clients between our read and our write, by outcome
        pub races: Counters<RaceOutcome> = "rolekeeper_races_total",
        /// Event to role: time from the stored event with which a count crossed a threshold to the role that Auth0 confirmed
        pub role_lag: Histogram = "rolekeeper_role_lag_seconds"
            in [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0],
        /// 1 while this worker reconciles
        pub reconcile_active: IntGauge = "rolekeeper_reconcile_active",
        /// 1 while the circuit breaker is open: no token, credentials or scopes refused, or many users in a row refused
        pub circuit_breaker_open: IntGauge = "rolekeeper_circuit_breaker_open",
        /// Times the circuit breaker opened because Auth0's responses concerned all users
        pub breaker_opened: IntCounter = "rolekeeper_circuit_breaker_opened_total",
        /// Role changes that Auth0 refused to write
        pub role_writes_refused: Counters<RoleChange> = "rolekeeper_role_writes_refused_total",
        /// 1 when roles are written, 0 in shadow mode
        pub writes_enabled: IntGauge = "rolekeeper_writes_enabled",
        /// 1 while the brake holds all changes of this kind until `rolekeeper brake release` or `rolekeeper brake drop`
        pub brake_engaged: Gauges<Braked> = "rolekeeper_brake_engaged",
        /// 1 while `rolekeeper pause` stops attempts and writes; `rolekeeper resume` goes on
        pub paused: IntGauge = "rolekeeper_paused",
        /// 1 while attempts and writes are stopped because another program writes under our client id; `rolekeeper
        /// resume --why` goes on
        pub unknown_write: IntGauge = "rolekeeper_stopped_by_unknown_write",
        /// Users in the work queue, by state
        pub work_queue: Gauges<QueueState> = "rolekeeper_work_queue_users",
        /// Time since the longest-due user in the work queue became due
        pub oldest_due: Gauge = "rolekeeper_work_queue_oldest_due_seconds",
        /// Holders of managed roles; rolekeeper takes a role from unadopted ones only where it is pinned off
        pub holders: Gauges<Adoption> = "rolekeeper_role_holders",
        /// Pins: roles that users hold (on) or do not hold (off) by the operator's word; `rolekeeper pins` lists them
        pub pins: Gauges<PinState> = "rolekeeper_pins",
        /// 1 when Postgres responded to this scrape
        pub database_up: IntGauge = "rolekeeper_database_up",
        /// 1 while NATS is connected
        pub bus_up: IntGauge = "rolekeeper_bus_up",
        /// Panics that ended a request, an attempt or a stage; the log has each
        pub panics: IntCounter = "rolekeeper_panics_total",
        /// Spans of traces that began
        pub spans: IntCounter = "rolekeeper_trace_spans_total",
        /// Spans of traces that the collector accepted: those that are missing here after a minute are lost
        pub spans_exported: IntCounter = "rolekeeper_trace_spans_exported_total",
        /// Deliveries of the log stream that wait for memory for their bodies
        pub webhook_waiting: IntGauge = "rolekeeper_webhook_waiting",
    }
    with {
        /// The rules in force.
        pub rules: RulesMetrics,
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
        /// Has registered all of them.
        registry: Registered,
    }
}

/// The registry of all metrics.
#[derive(Debug)]
struct Registered(Registry);

impl Registered {
    fn make(maker: &Maker<'_>) -> Self {
        let registry = maker.registry.clone();
        #[cfg(target_os = "linux")]
        process::register(&registry);
        Self(registry)
    }

    fn described(_streams: &[&'static str]) -> Vec<Described> {
        #[cfg(target_os = "linux")]
        return process::described();
        #[cfg(not(target_os = "linux"))]
        Vec::new()
    }
}

impl Metrics {
    /// All metrics, at 0. `streams` are those that a fold reads.
    #[must_use]
    pub fn new(streams: &[&'static str]) -> Self {
        let registry = Registry::new();
        let metrics = Self::make(&Maker { registry, streams });
        let release = [env!("CARGO_PKG_VERSION")];
        metrics.build_info.with_label_values(&release).set(1);
        metrics.room.never_full(streams);
        metrics
    }

    /// The descriptions of all metrics, in the order of their definition.
    #[must_use]
    pub fn all_described(streams: &[&'static str]) -> Vec<Described> {
        Self::described(streams)
    }

    /// The text exposition format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory fails only if two families clash, which registration has refused already.
        let _ = TextEncoder::new().encode(&self.registry.0.gather(), &mut text);
        text
    }
}
