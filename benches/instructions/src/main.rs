//! Generates events and runs parse and tally on them in the given number of passes, for the count of `scripts/instructions.sh`.
//!
//! Owns only the passes. Must never do other work that depends on their number.

use std::hint::black_box;
use std::process::ExitCode;

use rolekeeper_instructions::{events, parse_and_tally};

/// Number of batches, enough that no single batch matters.
const BATCHES: u64 = 5;

fn main() -> ExitCode {
    let passes = std::env::args().nth(1).and_then(|passes| passes.parse().ok());
    let Some(passes) = passes else {
        eprintln!("usage: rolekeeper-instructions PASSES");
        return ExitCode::FAILURE;
    };
    let batches = events::batches(BATCHES);
    let mut changed = 0;
    for _ in 0_u32..passes {
        for batch in &batches {
            changed += parse_and_tally(black_box(batch));
        }
    }
    // The script reads the first word.
    println!(
        "{} events a pass, {changed} changed playlists in all",
        BATCHES * events::BATCH
    );
    ExitCode::SUCCESS
}
