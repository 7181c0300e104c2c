//! The progress line.
//!
//! Owns its format and its interval: rewritten each second on a terminal, else a new line every few seconds. Must never
//! write to standard output, which is for the table.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::text::thousands;

/// The figures in the line.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// The present phase.
    pub(super) phase: &'static str,
    /// Messages that the stream stored.
    pub(super) published: u64,
    /// Messages that the worker has read, by its metrics.
    pub(super) counted: u64,
    /// Writes of roles that the tenant accepted.
    pub(super) written: u64,
    /// Users in the work queue, by the worker's metrics.
    pub(super) waiting: u64,
}

/// The progress line.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    terminal: bool,
    next: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            terminal: io::stderr().is_terminal(),
            next: now,
        }
    }

    /// Returns the time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns whether a line is due; if so, the next one is due after the interval.
    pub(super) fn due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + Duration::from_secs(if self.terminal { 1 } else { 5 });
        true
    }

    /// Shows a step without figures.
    pub(super) fn say(&self, what: &str) {
        self.line(what);
    }

    /// Shows the figures.
    pub(super) fn show(&self, figures: &Figures) {
        let line = format!(
            "{}: {} published, {} read, {} role changes, {} waiting",
            figures.phase,
            thousands(figures.published),
            thousands(figures.counted),
            thousands(figures.written),
            thousands(figures.waiting),
        );
        self.line(&line);
    }

    /// Clears the line on a terminal.
    pub(super) fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }

    fn line(&self, text: &str) {
        let seconds = self.elapsed().as_secs();
        if self.terminal {
            eprint!("\r\x1b[K[{seconds:>3} s] {text}");
            let _ = io::stderr().flush();
        } else {
            eprintln!("[{seconds:>3} s] {text}");
        }
    }
}
