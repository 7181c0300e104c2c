//! Metrics of the tenant's log on its way to rolekeeper.
//!
//! Owns names and HELP texts of its metrics. The fold counts here which records name another tenant.

use prometheus::{Gauge, IntCounter, IntGauge};

use super::define::metrics;
use super::family::Counters;
use super::labels::GapRecord;

metrics! {
    /// Deliveries of the log stream, and the gap filler.
    #[expect(clippy::doc_markdown, reason = "a doc comment here is a HELP text, which has no markup")]
    pub struct TenantLogMetrics {
        /// Time of the last delivery of Auth0's log stream to any worker, Unix seconds
        pub delivered_at: Gauge = "rolekeeper_log_stream_last_delivery_timestamp_seconds",
        /// 1 while Auth0's log stream has delivered nothing for longer than LOG_STREAM_SILENT_AFTER_S
        pub silent: IntGauge = "rolekeeper_log_stream_silent",
        /// Date of the last log record that the gap filler took, Unix seconds; 0 before the first
        pub read_to: Gauge = "rolekeeper_log_gap_filler_read_to_timestamp_seconds",
        /// Log records that the gap filler read: missed by the log stream, known already, or skipped as old and without
        /// effect
        pub filled: Counters<GapRecord> = "rolekeeper_log_gap_filler_records_total",
        /// 1 while Auth0 does not let the gap filler read the log; of the active worker
        pub refused: IntGauge = "rolekeeper_log_gap_filler_refused",
        /// Log records dropped because they name another tenant
        pub other_tenant: IntCounter = "rolekeeper_other_tenant_records_total",
        /// 1 while more than half of the last 1,000 log records name another tenant; of the active worker
        pub mostly_other_tenant: IntGauge = "rolekeeper_mostly_other_tenant",
    }
}
