//! The one place that reads the wall clock.
//!
//! Owns the time for logs, gauges and HTTP headers. Must never decide: counts do not depend on time, and timers compare
//! with Postgres' clock.

use time::OffsetDateTime;

/// The current time, in UTC, by this machine's clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
