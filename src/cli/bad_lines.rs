//! The lines of a file that cannot be used, on standard error.
//!
//! Owns how many are named. Must never end a command.

use std::io;

use anyhow::Result;

use super::output::remark;
use super::progress::Progress;
use crate::flow::line_file::{Bad, Kept};

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

/// Runs a check of all lines, which passes each bad line and the number of good ones so far to its argument; names the bad ones.
pub(super) async fn checked<T: Send + 'static>(
    kept: Kept,
    check: impl FnOnce(&Kept, &mut dyn FnMut(u64, Option<Bad>)) -> io::Result<T> + Send + 'static,
) -> Result<(T, Kept)> {
    on_thread(move || {
        let (mut progress, mut named) = (Progress::new("lines checked", None), Named::default());
        let checked = check(&kept, &mut |good, bad| match bad {
            None => progress.at(good),
            Some(bad) => {
                progress.clear();
                named.name(&bad);
            }
        });
        progress.clear();
        named.end();
        Ok((checked?, kept))
    })
    .await
}

/// Runs work that may block for long, such as reading a pipe.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
