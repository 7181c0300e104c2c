//! Adds completed role changes to the chain of hashes that `rolekeeper evidence` shows.
//!
//! Owns the timer. Runs where this worker reconciles, apart from the attempts: a change is completed without it, and gets its place a
//! moment later. Must never end a leadership: a chain that waits stops no change.

use std::convert::Infallible;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::retry_loop::RetryLoop;
use crate::store::Store;

/// Interval at which the audit is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The chain; runs where this worker reconciles.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) store: Store,
}

impl Chain {
    /// Extends the chain as changes are completed.
    pub(super) async fn run(&self) -> Infallible {
        // The end of the leadership drops this future.
        let mut retry = RetryLoop::new("adding role changes to the chain");
        let never = CancellationToken::new();
        loop {
            match self.store.extend_chain().await {
                Ok(more) => {
                    retry.succeeded();
                    if !more {
                        tokio::time::sleep(POLL_INTERVAL).await;
                    }
                }
                Err(why) => retry.wait(&why, &never).await,
            }
        }
    }
}
