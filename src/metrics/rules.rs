//! Metrics of the rules in force, and of the walks that compare users with them.
//!
//! Owns names and HELP texts of its metrics. Must never name a rule or a role.

use prometheus::{Gauge, IntGauge};

use super::define::metrics;

metrics! {
    /// Rules and walks.
    pub struct RulesMetrics {
        /// Version of the rules that this worker uses; 0 for rules without a version
        pub version: IntGauge = "rolekeeper_rules_version",
        /// 1 while a change of rules or limits is not yet compared with all users
        pub walk_open: IntGauge = "rolekeeper_rules_walk_open",
        /// Time at which the current comparison of all users with the rules was requested, Unix seconds; 0 before the
        /// first
        pub walk_requested_at: Gauge = "rolekeeper_walk_requested_timestamp_seconds",
        /// Partitions of users compared with the rules in the current comparison
        pub walk_partitions: IntGauge = "rolekeeper_walk_partitions",
    }
}
