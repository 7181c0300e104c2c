//! Whether Auth0's log stream still delivers.
//!
//! Owns the noting of deliveries, over all workers, and the two lines that say when they stop and when they come
//! again. Must never hold up a delivery, nor count what the gap filler reads: it would hide the silence.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::store::{Hearing, Store, StoreError};

/// A delivery is noted at once, the next ones no oftener than this: a busy stream must not cost a write each.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How often the silence is looked at, at most and at least.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Where deliveries are told of; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Notify>);

impl Heard {
    /// A delivery was stored. Returns at once.
    pub fn note(&self) {
        self.0.notify_one();
    }

    /// Writes down that there were deliveries, until told to stop.
    ///
    /// # Errors
    /// None: what could not be written is written later.
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

/// Watches for silence; runs where this worker reconciles, so that one says it.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    pub(super) store: Store,
    /// How long the stream may be silent; none to watch nothing.
    pub(super) after: Option<Duration>,
}

impl Silence {
    /// Says when the stream falls silent and when it is back.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let Some(after) = self.after else {
            return std::future::pending().await;
        };
        loop {
            match self.store.hear(after).await? {
                Hearing::Same => {}
                Hearing::Silent { since } => warn!(
                    %since,
                    "Auth0's log stream has delivered nothing for {} s: check its health in the Dashboard. The sweep \
                     keeps roles up to date meanwhile",
                    after.as_secs()
                ),
                Hearing::Again { since } => info!(silent_since = %since, "Auth0's log stream delivers again"),
            }
            tokio::time::sleep((after / 4).clamp(LOOK_EVERY.0, LOOK_EVERY.1)).await;
        }
    }
}
