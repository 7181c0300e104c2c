//! Signals that end a command between two steps.
//!
//! Owns which signals these are. Must never end the command itself: it first reports how far it is.

use anyhow::{Context as _, Result};
use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM, which from now on are only noted.
#[derive(Debug)]
pub(super) struct Interrupt([Signal; 2]);

impl Interrupt {
    /// Begins to note them.
    pub(super) fn catch() -> Result<Self> {
        let caught = |kind| signal(kind).context("signals cannot be caught here");
        Ok(Self([
            caught(SignalKind::interrupt())?,
            caught(SignalKind::terminate())?,
        ]))
    }

    /// Waits until one arrives.
    pub(super) async fn requested(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }

    /// Whether one has arrived.
    pub(super) fn is_requested(&mut self) -> bool {
        let mut signals = self.0.iter_mut();
        signals.any(|signal| signal.recv().now_or_never().is_some())
    }
}
