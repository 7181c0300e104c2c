//! Runs a parser with its corpus and with mutations of it.
//!
//! Owns the seed, and the command that repeats a run. The tests have always the same seed; a longer run sets another one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::bounds::{Memory, within};
use crate::corpus::{self, File};
use crate::edit::{MOST_BYTES, edits};

/// Seed of a run, a number.
const SEED: &str = "FUZZ_SEED";
/// Number of mutated inputs for each parser.
const CASES: &str = "FUZZ_CASES";
/// Mutated inputs in the tests: a fraction of a second for each parser.
const FEW: u32 = 200;
/// Bytes of a failed input that are printed.
const PRINTED: usize = 4_000;

/// A mutated input.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(PRINTED)];
        write!(f, "{} bytes: b\"{}\"", self.0.len(), shown.escape_ascii())
    }
}

/// Runs `parse` with each file of the parser's corpus and with mutations of them, within the usual memory. It panics where
/// something does not hold.
///
/// # Panics
/// With an input that fails, shrunk, and the command that repeats the run.
pub fn fuzz(parser: &str, parse: impl Fn(&[u8])) {
    fuzz_within(parser, Memory::default(), parse);
}

/// The same, within this memory.
///
/// # Panics
/// As [`fuzz`].
pub fn fuzz_within(parser: &str, memory: Memory, parse: impl Fn(&[u8])) {
    let files = corpus::of(parser);
    let bounded = |input: &[u8]| within(memory, input.len(), || parse(input));
    for File { name, bytes } in &files {
        assert!(bytes.len() <= MOST_BYTES, "{name} is too long");
        catch_unwind(AssertUnwindSafe(|| bounded(bytes))).unwrap_or_else(|why| {
            eprintln!("the input is {name}");
            resume_unwind(why)
        });
    }
    let (seed, cases) = (number(SEED, 0), number(CASES, FEW));
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        // An input that takes long is shrunk slowly.
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes_of(seed));
    let of_file = |at: &Index| -> &[u8] { &files[at.index(files.len())].bytes };
    let inputs = (any::<Index>(), edits()).prop_map(|(file, edits)| {
        let mut input = of_file(&file).to_vec();
        for edit in &edits {
            edit.apply(&mut input, of_file);
        }
        Input(input)
    });
    let ended = TestRunner::new_with_rng(config, random).run(&inputs, |input| {
        bounded(&input.0);
        Ok(())
    });
    if let Err(why) = ended {
        panic!("{parser}: {why}\nto repeat: {SEED}={seed} {CASES}={cases} cargo test --lib -- fuzz_");
    }
}

/// A number from the environment.
fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

fn bytes_of(seed: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_fault_is_found_and_shrunk() {
        let fails = |input: &[u8]| assert!(!input.windows(5).any(|five| five == b"1e400"), "a number");
        let why = catch_unwind(|| fuzz("events", fails)).expect_err("it is found");
        let why = why.downcast_ref::<String>().expect("a text");
        assert!(why.contains("a number") && why.contains("FUZZ_SEED="), "{why}");
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let seen = || {
            let inputs = RefCell::new(Vec::new());
            fuzz("events", |input| {
                allocation_counter::opt_out(|| inputs.borrow_mut().push(input.to_vec()));
            });
            inputs.into_inner()
        };
        let first = seen();
        assert_eq!(first, seen());
        assert!(first.iter().collect::<HashSet<_>>().len() > 150, "they differ");
    }
}
