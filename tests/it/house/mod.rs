//! The rules of the house, checked on the text of the project: floors, English, and the tests that documents name.
//!
//! Owns checks that read files only. Must never start a server or a worker.

mod circles;
pub(crate) mod crash_points;
mod english;
mod fault_names;
mod files;
mod floors;
mod folders;
mod oracles;
mod patches;
mod paths;
mod reliability;
mod text;
