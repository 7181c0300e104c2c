//! Waits for a dependency that is not reachable.
//!
//! Owns how often that is logged: at once, then once a minute. Must never give up, and never busy-loop.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::backoff::Reconnect;

/// The operator must see that it still waits, without a line for every attempt.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Waits with growing delays from failure to failure, and logs that once a minute.
#[derive(Debug)]
pub struct RetryLoop {
    what: &'static str,
    delays: Reconnect,
    logged_at: Option<Instant>,
}

impl RetryLoop {
    /// Creates the delays for attempts at `what`.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            delays: Reconnect::new(),
            logged_at: None,
        }
    }

    /// Notes a failure and waits until the next attempt is due, or the stop is requested.
    pub async fn wait(&mut self, why: &(dyn Display + Sync), stop: &CancellationToken) {
        if self
            .logged_at
            .is_none_or(|logged_at| logged_at.elapsed() >= LOG_INTERVAL)
        {
            warn!(what = self.what, "{}: {why}; retrying", self.what);
            self.logged_at = Some(Instant::now());
        }
        let _ = stop
            .run_until_cancelled(tokio::time::sleep(self.delays.next_delay()))
            .await;
    }

    /// Whether a failure was noted and no success since.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.logged_at.is_some()
    }

    /// Notes a success.
    pub fn succeeded(&mut self) {
        self.delays.reset();
        if self.logged_at.take().is_some() {
            info!(what = self.what, "{}: working again", self.what);
        }
    }
}
