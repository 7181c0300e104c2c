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

/// The lines `name:value` of an input, for a parser of headers; lines without a colon are left out.
pub fn header_lines(input: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = input.split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], &line[colon + 1..]))
    })
}
