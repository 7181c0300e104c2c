//! Signals that end a command between two steps.
//!
//! Owns which signals these are, and how long a step that does not end is waited for. Must never end the command itself: it first
//! reports how far it is.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Longest time for which a step goes on after a signal: Postgres may not respond.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

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

    /// Waits for work that ends soon after `stop` is cancelled, which a signal does.
    pub(super) async fn stops<T>(&mut self, work: impl Future<Output = T>, stop: &CancellationToken) -> T {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => done,
            () = self.requested() => {
                stop.cancel();
                work.await
            }
        }
    }

    /// Waits for work that ends by itself between two steps. Once a signal arrives, calls `stop`, and waits for one more second;
    /// returns nothing if the work has not ended then.
    pub(super) async fn bounds<T>(work: impl Future<Output = T>, stop: impl FnOnce()) -> Result<Option<T>> {
        let mut interrupt = Self::catch()?;
        tokio::pin!(work);
        tokio::select! {
            biased;
            ended = &mut work => return Ok(Some(ended)),
            () = interrupt.requested() => stop(),
        }
        Ok(tokio::time::timeout(ENDS_WITHIN, work).await.ok())
    }
}
