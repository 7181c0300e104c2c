//! Metrics of attempts and of the sweep.
//!
//! Owns names and HELP texts of its metrics. Must never have a user or a role as a label.

use prometheus::{Gauge, IntCounter, IntGauge};

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
        /// Attempts that ended: the user is up to date, or waits for the operator
        pub attempts_ended: IntCounter = "rolekeeper_attempts_ended_total",
        /// Users who wait for an attempt: neither parked nor held, and not due later than in five minutes
        pub drain_users: IntGauge = "rolekeeper_drain_users",
        /// Users whose attempt ended in the last minute, on the worker that reconciles; 0 while no worker reconciles
        pub drain_per_minute: Gauge = "rolekeeper_drain_users_per_minute",
        /// Time until all waiting users have had their attempt at this rate; 0 when none waits, -1 when none ends
        pub drain_remaining: Gauge = "rolekeeper_drain_remaining_seconds",
        /// Users whose days of ERASE_AFTER_DELETION_D have passed and who are not erased, as of the last round; at most 100000
        pub erasures_due: IntGauge = "rolekeeper_erasures_due",
        /// Age of the oldest verification of a holder; 0 without holders
        pub oldest_verification: Gauge = "rolekeeper_oldest_verification_seconds",
    }
}
