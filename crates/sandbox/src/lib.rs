//! Stand-ins for the outside systems: private servers and a tenant. Cargo feature `sandbox`.
//!
//! Owns the parts with which tests and the command `sandbox` run the real worker; only the servers' binaries must be
//! installed. Must never be part of the release binary, and must never import the worker's own code: a stand-in that shares
//! code with the tested program repeats its mistakes.

pub mod servers;
pub mod tenant;
pub mod traffic;
pub mod worker;

use time::OffsetDateTime;

/// Returns the time of the wall clock; the sandbox reads it only here.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reading of the clock in the sandbox"
)]
#[must_use]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
