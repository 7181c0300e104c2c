//! Metrics of a fold that does not get on.
//!
//! Owns what shows a fold that stands still. Must never be set from the work itself: that is what may have stopped.

use prometheus::GaugeVec;

use super::{Maker, STREAM};

/// What a fold that stands still shows.
#[derive(Debug)]
pub struct FoldMetrics {
    /// Seconds for which messages have waited while the cursor did not move.
    pub stalled: GaugeVec,
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
        Self { stalled }
    }
}
