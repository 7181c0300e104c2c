//! A file with one record a line, for commands that check it as a whole before they use a line.
//!
//! Owns the numbers of lines, and that the file can be read twice. Must never know what a line means.

mod lines;
mod source;

pub use lines::Lines;
use rolekeeper_domain::event::Reject;
pub use source::{Kept, Source, SourceError};

/// A line that cannot be used.
#[derive(Clone, Debug)]
pub struct Bad {
    /// Its number in the file, from 1.
    pub line: u64,
    /// Why it cannot be used.
    pub reject: Reject,
}
