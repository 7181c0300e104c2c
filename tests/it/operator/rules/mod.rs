//! Rules files: their content, their changes, and which one is in force.

mod across_releases;
mod conditions;
mod file;
mod hang;
mod in_force;
mod many;
mod over_time;
mod preselect;
