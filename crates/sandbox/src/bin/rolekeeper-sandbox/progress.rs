//! One line while it works.
//!
//! Owns how the line looks and how often it comes: rewritten each second on a terminal, else a new one every
//! few seconds. Must never go to standard output, which is for the table.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::text::thousands;

/// What the line shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// What is going on.
    pub(super) phase: &'static str,
    /// Messages the stream took.
    pub(super) published: u64,
    /// Messages the worker has read, by its own metrics.
    pub(super) counted: u64,
    /// Writes of roles that the tenant took.
    pub(super) written: u64,
    /// Users who wait for a look, by the worker's metrics.
    pub(super) waiting: u64,
}

/// The line.
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

    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether it is time for a line; then not again for a while.
    pub(super) fn due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + Duration::from_secs(if self.terminal { 1 } else { 5 });
        true
    }

    /// A step that has no figures.
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

    /// Leaves the terminal clean for what follows.
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
