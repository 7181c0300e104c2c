//! Replays kept events: under proposed rules, who would have crossed a threshold, and when; or to count again ([`Recount`]).
//!
//! Under proposed rules there are two passes over the same events. The first ([`History`]) derives the counts before the first
//! event from the present ones; the second ([`Replay`]) counts forward from there. Must never state a count that the events and the present counts do not
//! determine.

mod history;
mod person;
mod recount;
mod report;
mod run;
#[cfg(test)]
mod tests;

pub use history::{History, Starts};
pub use recount::{Difference, Life, Recount};
pub use report::{Busiest, Change, Crossing, Report, Unknown, User};
pub use run::{Place, Replay};
