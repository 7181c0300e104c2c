//! Metrics of the tenant's log on its way to rolekeeper.
//!
//! Owns names and help texts of its metrics. The fold counts here which records name another tenant.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts};

use super::Maker;

/// Deliveries of the log stream, and the gap filler.
#[derive(Debug)]
pub struct TenantLogMetrics {
    /// Time of the last delivery of the log stream, Unix seconds.
    pub delivered_at: Gauge,
    /// 1 while the log stream has delivered nothing for too long.
    pub silent: IntGauge,
    /// Date of the last record that the gap filler took.
    pub read_to: Gauge,
    /// Records that the gap filler took, by whether they were known.
    pub filled: IntCounterVec,
    /// 1 while Auth0 does not let the gap filler read.
    pub refused: IntGauge,
    /// Records dropped because they name another tenant.
    pub other_tenant: IntCounter,
    /// 1 while most of the latest records name another tenant.
    pub mostly_other_tenant: IntGauge,
}

impl TenantLogMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        let metrics = Self {
            delivered_at: maker.float(
                "rolekeeper_log_stream_last_delivery_timestamp_seconds",
                "Time of the last delivery of Auth0's log stream to any worker, Unix seconds",
            ),
            silent: maker.gauge(
                "rolekeeper_log_stream_silent",
                "1 while Auth0's log stream has delivered nothing for longer than LOG_STREAM_SILENT_AFTER_S",
            ),
            read_to: maker.float(
                "rolekeeper_log_gap_filler_read_to_timestamp_seconds",
                "Date of the last log record that the gap filler took, Unix seconds; 0 before the first",
            ),
            filled: maker.counter(
                "rolekeeper_log_gap_filler_records_total",
                "Log records that the gap filler read: missed by the log stream, known already, or skipped as old and without effect",
                &["kind"],
            ),
            refused: maker.gauge(
                "rolekeeper_log_gap_filler_refused",
                "1 while Auth0 does not let the gap filler read the log; of the active worker",
            ),
            other_tenant: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_other_tenant_records_total",
                "Log records dropped because they name another tenant",
            ))),
            mostly_other_tenant: maker.gauge(
                "rolekeeper_mostly_other_tenant",
                "1 while more than half of the last 1,000 log records name another tenant; of the active worker",
            ),
        };
        for kind in ["missed", "known", "skipped"] {
            metrics.filled.with_label_values(&[kind]);
        }
        metrics
    }
}
