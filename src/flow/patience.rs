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
const SAY_EVERY: Duration = Duration::from_mins(1);

/// Waits with growing delays from failure to failure, and logs that once a minute.
#[derive(Debug)]
pub struct Patience {
    what: &'static str,
    delays: Reconnect,
    said: Option<Instant>,
}

impl Patience {
    /// Creates the delays for attempts at `what`.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            delays: Reconnect::new(),
            said: None,
        }
    }

    /// Notes a failure and waits until the next attempt is due, or the stop is requested.
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
