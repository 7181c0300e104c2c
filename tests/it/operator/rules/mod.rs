//! Rules files: their content, their changes, and which one is in force.

mod across_releases;
mod file;
mod hang;
pub(crate) mod in_force;
pub(crate) mod many;
pub(crate) mod over_time;
