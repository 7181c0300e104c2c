//! Metrics of attempts and of the sweep.
//!
//! Owns names and HELP texts of its metrics. Must never have a user or a role as a label.

use prometheus::{Gauge, IntGauge};

use super::define::metrics;
use super::family::Counters;
use super::labels::{Later, LinkChange, SweepPart, Unsent};

metrics! {
    /// Reads without a write, and the sweep.
    #[expect(clippy::doc_markdown, reason = "a doc comment here is a HELP text, which has no markup")]
    pub struct ReconcileMetrics {
        /// Profiles read whose write was not sent; slow: more than 2 s passed since the read, nothing_left: the
        /// tenant's rate limit was used up
        pub unsent: Counters<Unsent> = "rolekeeper_reads_without_write_total",
        /// Failures of the sweep, by part; the log names the error, and the next sweep retries
        pub sweep_failures: Counters<Later<SweepPart>> = "rolekeeper_sweep_failures_total",
        /// Auth0 ids that were linked to another account, or unlinked from it, as a profile of that account showed
        pub links: Counters<LinkChange> = "rolekeeper_identity_changes_total",
        /// Auth0 ids that are linked to another account
        pub linked: IntGauge = "rolekeeper_linked_identities",
        /// Age of the oldest verification of a holder; 0 without holders
        pub oldest_verification: Gauge = "rolekeeper_oldest_verification_seconds",
    }
}
