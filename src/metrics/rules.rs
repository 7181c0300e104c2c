//! Metrics of the rules in force, and of the walks that compare users with them.
//!
//! Owns names and help texts of its metrics. Must never name a rule or a role.

use prometheus::{Gauge, IntGauge};

use super::Maker;

/// Rules and walks.
#[derive(Debug)]
pub struct RulesMetrics {
    /// Version of the rules that this worker uses.
    pub version: IntGauge,
    /// 1 while a change of rules or limits is not yet compared with all users.
    pub walk_open: IntGauge,
    /// Time at which the current walk was requested.
    pub walk_wanted_at: Gauge,
    /// Slices of users that the current walk has compared.
    pub walk_slices: IntGauge,
}

impl RulesMetrics {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            version: maker.gauge(
                "rolekeeper_rules_version",
                "Version of the rules that this worker uses; 0 for rules without a version",
            ),
            walk_open: maker.gauge(
                "rolekeeper_rules_walk_open",
                "1 while a change of rules or limits is not yet compared with all users",
            ),
            walk_wanted_at: maker.float(
                "rolekeeper_walk_wanted_timestamp_seconds",
                "Time at which the current comparison of all users with the rules was requested, Unix seconds; 0 before the first",
            ),
            walk_slices: maker.gauge(
                "rolekeeper_walk_slices",
                "Slices of users compared with the rules in the current comparison",
            ),
        }
    }
}
