//! The bounds that a parser must keep for one input.
//!
//! Owns the measurement of CPU time and memory of the parser's thread. Must never count what other threads do.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Longest CPU time for one input of at most 64 KiB, without optimization: a parser that reads an input in linear time takes some
/// milliseconds, a quadratic one some seconds.
const MOST_TIME: Duration = Duration::from_millis(1_500);

/// The most memory that a parser may hold at once.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes for any input.
    pub bytes: u64,
    /// Bytes for each byte of the input.
    pub each: u64,
}

impl Default for Memory {
    /// A tree of JSON takes some hundred bytes for a value of two.
    fn default() -> Self {
        Self {
            bytes: 64 << 10,
            each: 256,
        }
    }
}

/// Runs `parse` for an input of this length.
///
/// # Panics
/// It takes too long, or too much memory.
pub(crate) fn within(memory: Memory, length: usize, parse: impl FnOnce()) {
    let begun = cpu_time();
    let mut ended = Ok(());
    // The counter must see the end of each measurement.
    let held = allocation_counter::measure(|| ended = catch_unwind(AssertUnwindSafe(parse))).bytes_max;
    let took = cpu_time().saturating_sub(begun);
    if let Err(why) = ended {
        resume_unwind(why);
    }
    assert!(took <= MOST_TIME, "{length} bytes took {took:?} of CPU time");
    let most = memory.bytes + memory.each * length as u64;
    assert!(
        held <= most,
        "{length} bytes took {held} bytes of memory, at most {most}"
    );
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .expect("the clock of the thread")
        .into()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_parser_that_takes_too_much_is_noticed() {
        let none = Memory { bytes: 0, each: 1 };
        within(none, 100, || drop(black_box(vec![0_u8; 100])));
        let most = catch_unwind(|| within(none, 99, || drop(black_box(vec![0_u8; 100]))));
        assert!(most.is_err(), "memory");
        let spin = || {
            let until = cpu_time() + MOST_TIME + Duration::from_millis(1);
            while cpu_time() < until {}
        };
        assert!(catch_unwind(|| within(none, 1, spin)).is_err(), "time");
    }
}
