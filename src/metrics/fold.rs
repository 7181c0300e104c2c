//! Metrics of a fold that makes no progress.
//!
//! Owns the metrics that show a stalled fold. Must never be set by the fold itself, since the fold may have stopped.

use prometheus::{Gauge, IntCounter, IntGauge};

use super::define::metrics;
use super::family::Floats;
use super::labels::Stream;

metrics! {
    /// Metrics of a fold that makes no progress.
    pub struct FoldMetrics {
        /// Time for which messages have waited while the cursor did not move; of the active worker
        pub stalled: Floats<Stream> = "rolekeeper_fold_stalled_seconds",
        /// Times a retraction left a playlist below 0: more plays were retracted than counted, or the retraction came
        /// before its play
        pub below_zero: IntCounter = "rolekeeper_retractions_below_zero_total",
        /// Age of the oldest open transaction in Postgres that rolekeeper may see; at several minutes each move of a
        /// cursor becomes slower
        pub oldest_transaction: Gauge = "rolekeeper_postgres_oldest_transaction_seconds",
        /// Row versions of the cursors that Postgres cannot remove, because an old transaction may still read them
        pub cursor_versions: IntGauge = "rolekeeper_cursor_dead_versions",
    }
}
