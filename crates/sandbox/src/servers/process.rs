//! One started process: signals, and a bounded wait for its end.
//!
//! Must never signal after the process was waited for: another process may then have its number.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::POLL_INTERVAL;

/// A child process. On drop, it is reaped if it has ended; otherwise its folder ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    pub(super) fn new(child: Child) -> Self {
        Self { child, ended: None }
    }

    /// Returns its number, which is the same before and after the launcher becomes the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its exit status, or `None` while it runs.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self
                .child
                .try_wait()
                .context("cannot read whether a process has ended")?;
        }
        Ok(self.ended)
    }

    /// Sends a signal; has no effect if the process has ended.
    pub fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        if self.ended()?.is_none() {
            let pid = i32::try_from(self.pid()).context("a pid beyond the range of pids")?;
            kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot send {signal} to {pid}"))?;
        }
        Ok(())
    }

    /// Waits for its end, at most `within`.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "process {} still runs after {within:?}",
                self.pid()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An ended process is reaped, so that no zombie stays until the owner's end.
        let _ = self.ended();
    }
}
