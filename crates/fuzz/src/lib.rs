//! Fuzzing on a stable compiler: every parser of bytes from outside reads a corpus and mutations of it.
//!
//! Owns the mutations and the bounds of time and memory. Must never know what a parser does: its test says what must hold.

mod bounds;
mod corpus;
mod edit;
#[cfg(test)]
mod parsers;
mod run;

pub use bounds::Memory;
pub use run::{fuzz, fuzz_within};
