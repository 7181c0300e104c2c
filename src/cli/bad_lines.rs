//! The lines of a file that cannot be used, on standard error.
//!
//! Owns how many are named. Must never end a command.

use anyhow::Result;

use super::output::remark;
use crate::flow::line_file::Bad;

/// Bad lines that are named; the rest is counted.
const MOST_NAMED: u64 = 100;

/// Names bad lines, up to a limit.
#[derive(Default)]
pub(super) struct Named(u64);

impl Named {
    pub(super) fn name(&mut self, bad: &Bad) {
        self.0 += 1;
        if self.0 <= MOST_NAMED {
            remark!("line {}: {}", bad.line, bad.reject);
        }
    }

    pub(super) fn end(&self) {
        if let Some(more @ 1..) = self.0.checked_sub(MOST_NAMED) {
            remark!("and {more} more bad lines");
        }
    }
}

/// Runs work that may block for long, such as reading a pipe.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
