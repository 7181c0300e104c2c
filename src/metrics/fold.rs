//! Metrics of a fold that makes no progress.
//!
//! Owns the metrics that show a stalled fold. Must never be set by the fold itself, since the fold may have stopped.

use prometheus::{Gauge, GaugeVec, IntCounter, IntGauge, Opts};

use super::{Maker, STREAM};

/// Metrics of a fold that makes no progress.
#[derive(Debug)]
pub struct FoldMetrics {
    /// Seconds for which messages have waited while the cursor did not move.
    pub stalled: GaugeVec,
    /// Times a retraction left a playlist below 0.
    pub below_zero: IntCounter,
    /// Age of the oldest open transaction of Postgres, in seconds.
    pub oldest_transaction: Gauge,
    /// Row versions of the cursors that Postgres cannot remove yet.
    pub cursor_versions: IntGauge,
}

impl FoldMetrics {
    pub(super) fn new(maker: &Maker, streams: &[&str]) -> Self {
        let stalled = maker.floats(
            "rolekeeper_fold_stalled_seconds",
            "Time for which messages have waited while the cursor did not move; of the active worker",
            STREAM,
        );
        for stream in streams {
            stalled.with_label_values(&[stream]);
        }
        Self {
            stalled,
            below_zero: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_retractions_below_zero_total",
                "Times a retraction left a playlist below 0: more plays were retracted than counted, or the retraction came before its play",
            ))),
            oldest_transaction: maker.keep(Gauge::with_opts(Opts::new(
                "rolekeeper_postgres_oldest_transaction_seconds",
                "Age of the oldest open transaction in Postgres that rolekeeper may see; at several minutes each move of a cursor becomes slower",
            ))),
            cursor_versions: maker.gauge(
                "rolekeeper_cursor_dead_versions",
                "Row versions of the cursors that Postgres cannot remove, because an old transaction may still read them",
            ),
        }
    }
}
