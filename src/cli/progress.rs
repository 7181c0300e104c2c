//! The progress of long work, on standard error.
//!
//! Owns the remaining time, from the rate of the last 30 seconds. Must never write where standard error is no terminal: a log
//! would have one line for each update.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use super::output::to_stderr;

/// The rate is that of this time.
const RATE_OF: Duration = Duration::from_secs(30);
/// Shortest time between two updates of the line.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// The progress of one run.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    /// Points of the last 30 seconds, oldest first, and how much was done then.
    points: VecDeque<(Instant, u64)>,
    on_terminal: bool,
}

impl Progress {
    /// Begins work on `total` of `what`, such as `lines`; without a total there is no remaining time.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            what,
            total,
            points: VecDeque::new(),
            on_terminal: stderr().is_terminal(),
        }
    }

    /// Shows how much is done, if the line was not updated a moment ago.
    pub(super) fn at(&mut self, done: u64) {
        let now = Instant::now();
        let waits = |(at, _): &(Instant, u64)| now.duration_since(*at) < SHOW_EVERY;
        if !self.on_terminal || self.points.back().is_some_and(waits) {
            return;
        }
        self.note(now, done);
        to_stderr(format_args!("\r\x1b[K{}", self.text(done)));
    }

    /// Removes the line, so that other output begins at the start of a line.
    pub(super) fn clear(&self) {
        if self.on_terminal && !self.points.is_empty() {
            to_stderr(format_args!("\r\x1b[K"));
        }
    }

    fn note(&mut self, now: Instant, done: u64) {
        self.points.push_back((now, done));
        while let Some((second, _)) = self.points.get(1)
            && now.duration_since(*second) >= RATE_OF
        {
            self.points.pop_front();
        }
    }

    /// At most 40 columns for numbers below ten million.
    fn text(&self, done: u64) -> String {
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return format!("{done} {}", self.what);
        };
        let share = done.saturating_mul(100) / total;
        let left = self.left(total.saturating_sub(done));
        let left = left.map_or_else(String::new, |left| format!(", {} left", shown(left)));
        format!("{done}/{total} {} {share}%{left}", self.what)
    }

    /// The remaining time; none before a rate is known.
    fn left(&self, rest: u64) -> Option<Duration> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let done = last.1.checked_sub(first.1).filter(|done| *done > 0)?;
        let took = last.0.duration_since(first.0);
        Duration::try_from_secs_f64(took.as_secs_f64() * rest as f64 / done as f64).ok()
    }
}

/// A duration in its two largest units.
pub(super) fn shown(duration: Duration) -> String {
    let s = duration.as_secs();
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, h, ..) => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_the_last_30_seconds() {
        let start = Instant::now();
        let mut progress = Progress::new("lines", Some(10_000_000));
        assert_eq!(progress.text(0), "0/10000000 lines 0%");
        // 100 a second for a minute, then 10 a second.
        for second in 0..=120 {
            let done = if second <= 60 {
                second * 100
            } else {
                6_000 + (second - 60) * 10
            };
            progress.note(start + Duration::from_secs(second), done);
        }
        assert!(progress.points.len() <= 32);
        assert_eq!(progress.left(1_000), Some(Duration::from_secs(100)));
        let text = progress.text(9_999_000);
        assert_eq!(text, "9999000/10000000 lines 99%, 1m40s left");
        assert!(text.len() <= 40);
    }

    #[test]
    fn durations_have_two_units() {
        for (s, text) in [(0, "0s"), (61, "1m1s"), (3_600, "1h0m"), (90_061, "1d1h")] {
            assert_eq!(shown(Duration::from_secs(s)), text);
        }
    }
}
