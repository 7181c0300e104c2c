//! Times of one kind, and their percentiles.
//!
//! Owns the rule that no sample is omitted.

use std::time::Duration;

/// Times of one kind, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1_000.0);
    }

    pub(crate) fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Returns the smallest time that this many of a thousand do not exceed; the largest time where there are too few samples.
    pub(crate) fn within(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * per_mille).div_ceil(1_000);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.within(990)
    }

    pub(crate) fn told(&self) -> String {
        format!("{:.2}/{:.2}", self.within(500), self.p99())
    }
}
