//! Base delays between attempts.
//!
//! Owns the use of the `backoff` crate; no other file may name it. The crate was asked for by name. It is no longer
//! maintained (RUSTSEC-2025-0012), which is accepted because it is small, has no `unsafe`, touches no network, and one
//! file can replace it. Must never add randomness (`schedule` adds the jitter) and never give up.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// From this attempt on the delay is the longest: 2^10 s is more than 15 min.
const LAST_STEP: u32 = 11;

const FIRST_RECONNECT: Duration = Duration::from_millis(200);
const LONGEST_RECONNECT: Duration = Duration::from_secs(10);

/// The delay after the failure of the `attempt`-th attempt, counted from 1: 1 s, 2 s, 4 s … 512 s, then always 15 min.
#[must_use]
pub fn base_delay(attempt: u32) -> Duration {
    let mut steps = exponential(FIRST_DELAY, LONGEST_DELAY);
    let mut delay = FIRST_DELAY;
    for _ in 0..attempt.clamp(1, LAST_STEP) {
        delay = step(&mut steps, LONGEST_DELAY);
    }
    delay
}

/// The delays of a loop that reconnects: 200 ms, 400 ms … 6.4 s, then always 10 s.
#[derive(Debug)]
pub struct Reconnect(ExponentialBackoff);

impl Reconnect {
    /// Starts at the shortest delay.
    #[must_use]
    pub fn new() -> Self {
        Self(exponential(FIRST_RECONNECT, LONGEST_RECONNECT))
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        step(&mut self.0, LONGEST_RECONNECT)
    }

    /// Starts over after a successful connection.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new()
    }
}

fn exponential(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(first)
        .with_max_interval(longest)
        .with_multiplier(2.0)
        .with_randomization_factor(0.0)
        .with_max_elapsed_time(None)
        .build()
}

/// The next delay in whole milliseconds: the crate adds up to a nanosecond of randomness even with randomness off.
fn step(steps: &mut ExponentialBackoff, longest: Duration) -> Duration {
    let delay = steps.next_backoff().unwrap_or(longest);
    Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_delays_double_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<u64> = (0..=13).map(|attempt| base_delay(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(base_delay(u32::MAX), Duration::from_mins(15));
        assert_eq!(base_delay(7).subsec_nanos(), 0);
    }

    #[test]
    fn reconnects_slow_down_and_start_over() {
        let mut reconnect = Reconnect::new();
        let mut delays = || -> Vec<_> { (0..8).map(|_| reconnect.next_delay().as_millis()).collect() };
        assert_eq!(delays(), [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        reconnect.reset();
        assert_eq!(reconnect.next_delay(), FIRST_RECONNECT);
    }
}
