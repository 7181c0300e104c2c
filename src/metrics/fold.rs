//! Metrics of a fold that does not get on.
//!
//! Owns what shows a fold that stands still. Must never be set from the work itself: that is what may have stopped.

use prometheus::{Gauge, GaugeVec, IntCounter, IntGauge, Opts};

use super::{Maker, STREAM};

/// What a fold that stands still shows.
#[derive(Debug)]
pub struct FoldMetrics {
    /// Seconds for which messages have waited while the cursor did not move.
    pub stalled: GaugeVec,
    /// Playlists that a retraction left below 0.
    pub below_zero: IntCounter,
    /// Seconds since the oldest open transaction of Postgres began.
    pub oldest_transaction: Gauge,
    /// Versions of the cursors' rows that Postgres cannot remove yet.
    pub cursor_versions: IntGauge,
}

impl FoldMetrics {
    pub(super) fn new(maker: &Maker, streams: &[&str]) -> Self {
        let stalled = maker.floats(
            "rolekeeper_fold_stalled_seconds",
            "How long messages have waited while the cursor did not move; of the active worker",
            STREAM,
        );
        for stream in streams {
            stalled.with_label_values(&[stream]);
        }
        Self {
            stalled,
            below_zero: maker.keep(IntCounter::with_opts(Opts::new(
                "rolekeeper_retractions_below_zero_total",
                "Times a retraction left a playlist below 0: more plays were taken back than were counted, or it came before its play",
            ))),
            oldest_transaction: maker.keep(Gauge::with_opts(Opts::new(
                "rolekeeper_postgres_oldest_transaction_seconds",
                "Age of the oldest open transaction of this Postgres that rolekeeper may see; one of minutes makes each move of a cursor slower",
            ))),
            cursor_versions: maker.gauge(
                "rolekeeper_cursor_dead_versions",
                "Versions of the cursors' rows that Postgres cannot remove, as an old transaction may still read them",
            ),
        }
    }
}
