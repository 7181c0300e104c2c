//! The clock of Postgres: it stands, but for the hours that a run lets pass.
//!
//! Owns the times of decisions, timers and ends. Must never be compared with the tenant's clock but where the worker compares them.

use time::{Duration, OffsetDateTime};

use super::tenant::written_at;

/// The time after this many hours.
#[must_use]
pub(super) fn clock(hours: u8) -> OffsetDateTime {
    written_at(u8::MAX) + Duration::hours(i64::from(hours))
}

/// The first full hour at which this time has come.
#[must_use]
pub(super) fn hour(at: OffsetDateTime) -> u8 {
    (0..u8::MAX).find(|hours| clock(*hours) >= at).unwrap_or(u8::MAX)
}
