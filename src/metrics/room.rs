//! Metrics of the free space in the streams.
//!
//! Owns names and HELP texts of its metrics. Must never hold a value that the stream itself reports at a scrape.

use prometheus::IntGauge;

use super::define::metrics;
use super::family::{Counters, Floats, Gauges};
use super::labels::Stream;

metrics! {
    /// Free space in the streams, and trimming.
    #[expect(clippy::doc_markdown, reason = "a doc comment here is a HELP text, which has no markup")]
    pub struct RoomMetrics {
        /// Time until the stream is full of messages that trimming must keep, at the rate of the last minutes; +Inf
        /// while they do not grow; of the active worker
        pub full_in_seconds: Floats<Stream> = "rolekeeper_stream_full_in_seconds",
        /// 1 while less than 1 % of the stream's size limit is free: publishers are refused, or soon will be; of the
        /// active worker
        pub full: Gauges<Stream> = "rolekeeper_stream_full",
        /// 1 while the stream cannot be trimmed, because it was made with deny_purge; of the active worker
        pub untrimmed: Gauges<Stream> = "rolekeeper_stream_untrimmed",
        /// 1 while the stream ROLE_CHANGES lacks role changes that were announced; `rolekeeper announce` sends them
        /// again; of the active worker
        pub announcements_lost: IntGauge = "rolekeeper_role_changes_lost",
        /// Role changes in the stream ROLE_CHANGES that the audit does not know, until `rolekeeper resume`: the
        /// database was restored from a backup; of the active worker
        pub changes_forgotten: IntGauge = "rolekeeper_role_changes_forgotten",
        /// Folded messages that trimming removed from the stream
        pub trimmed: Counters<Stream> = "rolekeeper_stream_trimmed_messages_total",
    }
}

impl RoomMetrics {
    /// No stream is known to grow.
    pub(super) fn never_full(&self, streams: &[&'static str]) {
        for stream in streams {
            self.full_in_seconds.of(Stream(stream)).set(f64::INFINITY);
        }
    }
}
