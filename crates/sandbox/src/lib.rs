//! Everything that stands in for the world outside: private servers and a tenant. Cargo feature `sandbox`.
//!
//! Owns what tests and the command `sandbox` need to run the real worker with nothing installed but the
//! servers' binaries. Must never be part of the release binary, and must never import the worker's own
//! code: a stand-in that shares code with what it tests agrees with its mistakes.

pub mod servers;
pub mod tenant;
pub mod traffic;
pub mod worker;

use time::OffsetDateTime;

/// The wall clock, read at this one place of the sandbox.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reading of the clock in the sandbox"
)]
#[must_use]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
