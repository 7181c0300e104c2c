//! The one place that reads the wall clock.
//!
//! Owns what time it is for logs, gauges and HTTP headers. Must never decide anything: counts do not depend
//! on time, and timers compare with Postgres' clock.

use time::OffsetDateTime;

/// Now, in UTC, by this machine's clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
