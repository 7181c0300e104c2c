//! What Prometheus sees of the rules in force, and of the rounds that compare users with them.
//!
//! Owns names and help texts of its metrics. Must never name a rule or a role.

use prometheus::{Gauge, IntGauge};

use super::Maker;

/// Rules and rounds.
#[derive(Debug)]
pub struct RulesMetrics {
    /// Version of the rules that this worker works under.
    pub version: IntGauge,
    /// 1 while users affected by a change are still looked for.
    pub walk_open: IntGauge,
    /// Since when the round under way is wanted.
    pub walk_wanted_at: Gauge,
    /// Slices of users that were compared in the round under way.
    pub walk_slices: IntGauge,
}

impl RulesMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            version: maker.gauge(
                "rolekeeper_rules_version",
                "Version of the rules that this worker works under; 0 for rules without one",
            ),
            walk_open: maker.gauge(
                "rolekeeper_rules_walk_open",
                "1 while not all users were compared with changed rules or limits yet",
            ),
            walk_wanted_at: maker.float(
                "rolekeeper_walk_wanted_timestamp_seconds",
                "When the comparison of all users with the rules that is under way was asked for, Unix seconds; 0 before the first",
            ),
            walk_slices: maker.gauge(
                "rolekeeper_walk_slices",
                "Slices of users that were compared with the rules in the round under way",
            ),
        }
    }
}
