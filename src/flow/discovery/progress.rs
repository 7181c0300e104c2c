//! The lines about the progress of a run.
//!
//! Owns the estimate of the remaining time, and how often a line is due. Must never print: the command does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Interval between two lines about the same work.
const EVERY: Duration = Duration::from_secs(2);

/// Takes lines.
#[derive(Clone)]
pub(in crate::flow) struct Report {
    line: fn(&str),
    said_at: Arc<Mutex<Option<Instant>>>,
}

/// Work with a known or unknown end, since this process began it.
pub(super) struct Progress {
    began: Instant,
    done: f64,
}

impl Report {
    pub(in crate::flow) fn new(line: fn(&str)) -> Self {
        Self {
            line,
            said_at: Arc::default(),
        }
    }

    /// A line about an event.
    pub(super) fn line(&self, text: &str) {
        (self.line)(text);
    }

    /// A line about work that goes on; dropped if the last one is recent.
    pub(super) fn now_and_then(&self, text: impl FnOnce() -> String) {
        let mut said_at = self.said_at.lock().unwrap_or_else(PoisonError::into_inner);
        if said_at.is_none_or(|said_at| said_at.elapsed() >= EVERY) {
            *said_at = Some(Instant::now());
            (self.line)(&text());
        }
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            done: 0.0,
        }
    }

    /// Notes that so much of the work was done.
    pub(super) fn add(&mut self, done: f64) {
        self.done += done;
    }

    /// The remaining time as text, if so much work is left.
    pub(super) fn left(&self, left: f64) -> String {
        match remaining(self.began.elapsed(), self.done, left) {
            Some(time) => format!("about {} left", shown(time)),
            None => "the remaining time is not known yet".to_owned(),
        }
    }
}

fn remaining(elapsed: Duration, done: f64, left: f64) -> Option<Duration> {
    let seconds = elapsed.as_secs_f64() * left / done;
    (done > 0.0 && left >= 0.0)
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

fn shown(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{} s", seconds.max(1)),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_the_pace_so_far() {
        let minute = Duration::from_mins(1);
        for (done, left, expected) in [
            (100.0, 50.0, "30 s"),
            (100.0, 0.0, "1 s"),
            (10.0, 100.0, "10 min"),
            (1.0, 1_000.0, "16 h"),
        ] {
            assert_eq!(shown(remaining(minute, done, left).unwrap()), expected);
        }
        assert_eq!(remaining(minute, 0.0, 10.0), None);
    }
}
