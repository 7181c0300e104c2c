//! Metrics of attempts and of the sweep.
//!
//! Owns names and help texts of its metrics. Must never have a user or a role as a label.

use prometheus::{Gauge, IntCounterVec};

use super::Maker;

/// Reads without a write, and the sweep.
#[derive(Debug)]
pub struct ReconcileMetrics {
    /// Reads that no write followed although a change was due, by cause.
    pub in_vain: IntCounterVec,
    /// Failures of the sweep, by part.
    pub sweep_failures: IntCounterVec,
    /// Age of the oldest verification of a holder.
    pub oldest_verification: Gauge,
}

impl ReconcileMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        let metrics = Self {
            in_vain: maker.counter(
                "rolekeeper_reads_in_vain_total",
                "Profiles read whose write was not sent; slow: more than 2 s passed since the read, nothing_left: the tenant's rate limit was used up",
                &["why"],
            ),
            sweep_failures: maker.counter(
                "rolekeeper_sweep_failures_total",
                "Failures of the sweep, by part; the log names the error, and the next sweep retries",
                &["part"],
            ),
            oldest_verification: maker.float(
                "rolekeeper_oldest_verification_seconds",
                "Age of the oldest verification of a holder; 0 without holders",
            ),
        };
        for why in ["slow", "nothing_left"] {
            metrics.in_vain.with_label_values(&[why]);
        }
        metrics
    }

    /// Creates the series of these parts of the sweep at 0.
    pub fn sweep_parts<'a>(&self, parts: impl IntoIterator<Item = &'a str>) {
        for part in parts {
            self.sweep_failures.with_label_values(&[part]);
        }
    }
}
