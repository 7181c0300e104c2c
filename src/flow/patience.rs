//! Waiting for a dependency that is not there.
//!
//! Owns how often that is said: at once, then once a minute. Must never give up, and never busy-loop.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::backoff::Reconnect;

/// A person wants to know that it still hangs, not to scroll past every attempt.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// Waits longer from failure to failure, and says so once a minute.
#[derive(Debug)]
pub struct Patience {
    what: &'static str,
    delays: Reconnect,
    said: Option<Instant>,
}

impl Patience {
    /// For attempts at `what`.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            delays: Reconnect::new(),
            said: None,
        }
    }

    /// Notes a failure and waits until it is time to try again, or to stop.
    pub async fn wait(&mut self, why: &(dyn Display + Sync), stop: &CancellationToken) {
        if self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            warn!(what = self.what, "{}: {why}; retrying", self.what);
            self.said = Some(Instant::now());
        }
        let _ = stop
            .run_until_cancelled(tokio::time::sleep(self.delays.next_delay()))
            .await;
    }

    /// Whether a failure was noted and no success since.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.said.is_some()
    }

    /// Notes a success.
    pub fn succeeded(&mut self) {
        self.delays.reset();
        if self.said.take().is_some() {
            info!(what = self.what, "{}: working again", self.what);
        }
    }
}
