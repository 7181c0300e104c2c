//! Imports a file of past plays or counts: checks all lines, counts them batch by batch, and lets the roles of their users go.
//!
//! Owns that a run that ended early goes on where it was. Must never count a line of a file with bad lines.

mod check;
mod release;
mod run;

pub use check::{Checked, check};
pub use release::release;
pub use run::{Import, ImportError};
