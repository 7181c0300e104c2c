//! The run of `rolekeeper verify`: counts against the stream, and stored roles against Auth0.
//!
//! Must never change anything: it reads Postgres in transactions that cannot write, the stream with consumers that end with the run,
//! and Auth0 with a client that only reads.

mod counts;
mod listed;
mod roles;
mod sums;

pub use counts::{CountDifference, Counts, NotChecked, State, counts};
pub use roles::{RoleDifference, Roles, RolesError, RolesRun};
pub use sums::{SumDifference, Sums, slices, sums};
