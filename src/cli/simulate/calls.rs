//! The calls to Auth0 that the changes of a simulation need.
//!
//! Owns how long they take under the tenant's limits.

use std::time::Duration;

use serde::Serialize;

use rolekeeper_domain::pacer::RatePlan;
use rolekeeper_domain::replay::Report;

/// Calls of one change: a read and a write.
const CALLS_OF_CHANGE: u64 = 2;

/// The calls that the changes need.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Calls {
    /// Changes of roles.
    pub(super) changes: u64,
    /// Reads and writes of users.
    #[serde(rename = "calls")]
    pub(super) to_auth0: u64,
    /// Seconds that they take at the plan, without the share that is left to other clients.
    pub(super) seconds: f64,
    /// The seconds of the busiest hour's changes.
    pub(super) busiest_hour_seconds: f64,
    /// Share of the limit that is left to other clients.
    pub(super) reserve: f64,
}

impl Calls {
    /// The calls of all changes.
    pub(super) fn of(report: &Report<'_>, plan: RatePlan, reserve: f64) -> Self {
        let changes = report.grants + report.revokes;
        let seconds = |changes: u64| changes as f64 / (plan.attempts_per_second() * (1.0 - reserve));
        Self {
            changes,
            to_auth0: changes * CALLS_OF_CHANGE,
            seconds: seconds(changes),
            busiest_hour_seconds: seconds(report.busiest.map_or(0, |busiest| busiest.changes)),
            reserve,
        }
    }

    /// Whole seconds, for people.
    pub(super) fn takes(seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(Duration::MAX)
    }
}
