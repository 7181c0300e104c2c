//! Metrics of the free space in the streams.
//!
//! Owns names and help texts of its metrics. Must never hold a value that the stream itself reports at a scrape.

use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::Maker;

/// Free space in the streams, and trimming.
#[derive(Debug)]
pub struct RoomMetrics {
    /// Seconds until the stream is full and publishers are refused.
    pub full_in_seconds: GaugeVec,
    /// 1 while publishers are refused.
    pub full: IntGaugeVec,
    /// 1 while the stream denies purges.
    pub untrimmed: IntGaugeVec,
    /// 1 while `ROLE_CHANGES` lacks announced role changes.
    pub announcements_lost: IntGauge,
    /// Announced role changes that the audit does not know.
    pub changes_forgotten: IntGauge,
    /// Messages removed by trimming.
    pub trimmed: IntCounterVec,
}

impl RoomMetrics {
    pub(super) fn new(maker: &Maker, streams: &[&str]) -> Self {
        let label = "stream";
        let metrics = Self {
            full_in_seconds: maker.floats(
                "rolekeeper_stream_full_in_seconds",
                "Time until the stream is full of messages that trimming must keep, at the rate of the last minutes; +Inf while they do not grow; of the active worker",
                label,
            ),
            full: maker.gauges(
                "rolekeeper_stream_full",
                "1 while less than 1 % of the stream's size limit is free: publishers are refused, or soon will be; of the active worker",
                label,
            ),
            untrimmed: maker.gauges(
                "rolekeeper_stream_untrimmed",
                "1 while the stream cannot be trimmed, because it was made with deny_purge; of the active worker",
                label,
            ),
            announcements_lost: maker.gauge(
                "rolekeeper_role_changes_lost",
                "1 while the stream ROLE_CHANGES lacks role changes that were announced; `rolekeeper announce` sends them again; of the active worker",
            ),
            changes_forgotten: maker.gauge(
                "rolekeeper_role_changes_forgotten",
                "Role changes in the stream ROLE_CHANGES that the audit does not know, until `rolekeeper resume`: the database was restored from a backup; of the active worker",
            ),
            trimmed: maker.counter(
                "rolekeeper_stream_trimmed_messages_total",
                "Folded messages that trimming removed from the stream",
                &[label],
            ),
        };
        for stream in streams {
            metrics
                .full_in_seconds
                .with_label_values(&[stream])
                .set(f64::INFINITY);
            metrics.full.with_label_values(&[stream]);
            metrics.untrimmed.with_label_values(&[stream]);
            metrics.trimmed.with_label_values(&[stream]);
        }
        metrics
    }
}
