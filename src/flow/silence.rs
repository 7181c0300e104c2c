//! Monitors whether Auth0's log stream still delivers.
//!
//! Owns recording deliveries, over all workers, and the two log lines for the stop and the return of deliveries. Must
//! never delay a delivery, nor count records that the gap filler reads: they would hide the silence.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::store::{Store, StoreError, StreamHealth};

/// A delivery is recorded at once, the next ones at most at this interval: a busy stream must not cost one write each.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// Shortest and longest interval at which the silence is checked.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Takes notice of deliveries; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DeliveryMonitor(Arc<Notify>);

impl DeliveryMonitor {
    /// Notes that a delivery was stored. Returns at once.
    pub fn note(&self) {
        self.0.notify_one();
    }

    /// Records deliveries in Postgres, until the stop is requested.
    ///
    /// # Errors
    /// None: a failed record is written later.
    pub async fn run(self, store: Store, stop: CancellationToken) -> Result<(), std::convert::Infallible> {
        let noting = async {
            loop {
                self.0.notified().await;
                if let Err(why) = store.note_delivery().await {
                    debug!("a delivery of the log stream was not noted: {why}");
                    self.0.notify_one();
                }
                tokio::time::sleep(NOTE_EVERY).await;
            }
        };
        let _: Option<std::convert::Infallible> = stop.run_until_cancelled(noting).await;
        Ok(())
    }
}

/// Watches for silence; runs where this worker reconciles, so that only one worker reports it.
#[derive(Clone, Debug)]
pub(super) struct SilenceCheck {
    pub(super) store: Store,
    /// How long the stream may be silent; none disables the watch.
    pub(super) after: Option<Duration>,
}

impl SilenceCheck {
    /// Logs when the stream falls silent and when it is back.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let Some(after) = self.after else {
            return std::future::pending().await;
        };
        loop {
            match self.store.stream_health(after).await? {
                StreamHealth::Same => {}
                StreamHealth::Silent { since } => warn!(
                    %since,
                    "Auth0's log stream has delivered nothing for {} s: check its health in the Dashboard. The sweep \
                     keeps roles up to date meanwhile",
                    after.as_secs()
                ),
                StreamHealth::Again { since } => {
                    info!(silent_since = %since, "Auth0's log stream delivers again");
                }
            }
            tokio::time::sleep((after / 4).clamp(POLL_INTERVAL.0, POLL_INTERVAL.1)).await;
        }
    }
}
