//! Tells others of completed role changes, in the stream `ROLE_CHANGES`.
//!
//! Owns that each completed row of the audit is stored there once, the changes of one user in their order. A row is
//! marked after its message was acknowledged, and the next is sent after the mark; so a worker that ends in between
//! leaves one message without its mark, the stream's last, and whoever goes on marks it. Each message is stored only
//! right behind the last one known, so a worker that slept while another took over is refused. The message id, the
//! row's, guards once more inside the stream's duplicate window. Must never announce what was not completed, and
//! never drop or skip a row: a stream that is full, missing or out of reach is waited for.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use super::patience::Patience;
use crate::bus::{Appended, Bus, BusError, End, PublishError, ROLE_CHANGES, Unstored};
use crate::domain::announcement::Announcement;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, Wake};

/// Rows read at once; they are sent one by one all the same.
const ROWS: i64 = 100;
/// How often the audit is looked at although nobody gave a hint.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);
/// How often the stream itself is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(30);

/// The announcer; runs where this worker reconciles.
#[derive(Debug)]
pub(super) struct Announce {
    store: Store,
    bus: Bus,
    metrics: Arc<Metrics>,
    /// A change was completed.
    wake: Notify,
}

/// Why announcing broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// Postgres failed: the worker's term ends.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream cannot be read; tried again.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A change was not stored; tried again.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A row cannot be put into words; said until a person has looked.
    #[error("role change: {0}")]
    Payload(#[from] serde_json::Error),
}

impl Announce {
    pub(super) fn new(store: Store, bus: Bus, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            bus,
            metrics,
            wake: Notify::new(),
        }
    }

    /// Announces until told to stop; waits for the bus as long as it takes.
    ///
    /// # Errors
    /// Postgres failed.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut patience = Patience::new("announcing role changes");
        let announce = async {
            while !stop.is_cancelled() {
                match self.follow(&mut patience).await {
                    Ok(()) => {}
                    Err(Broken::Store(why)) => return Err(why),
                    Err(why) => patience.wait(&why, stop).await,
                }
            }
            Ok(())
        };
        tokio::select! {
            ended = announce => ended,
            heard = self.hear() => heard,
            never = self.watch() => match never {},
        }
    }

    /// Announces what is completed, from the end of the stream on, until that end is not where it was thought to be.
    async fn follow(&self, patience: &mut Patience) -> Result<(), Broken> {
        let mut last = self.find_end().await?;
        loop {
            // Read after the end was known: what another worker stores from now on moves the end, and this one is
            // refused.
            let rows = self.store.unannounced(ROWS).await?;
            if rows.is_empty() {
                patience.succeeded();
                self.idle().await;
            }
            for row in rows {
                match self.announce(&row, last).await? {
                    Appended::At(seq) => last = seq,
                    // An attempt given up has arrived after all, or another worker is at it too: the rows in hand
                    // may be announced already.
                    Appended::Repeat => return Ok(()),
                }
                patience.succeeded();
            }
        }
    }

    /// Where the stream ends. A row that was stored and not marked is marked here.
    async fn find_end(&self) -> Result<u64, Broken> {
        let End { seq, message_id } = self.bus.end(ROLE_CHANGES).await?;
        if let Some(change) = message_id.and_then(|id| Uuid::parse_str(&id).ok()) {
            self.mark(change).await?;
        }
        Ok(seq)
    }

    /// Announces one change and marks it.
    async fn announce(&self, row: &Announcement, last: u64) -> Result<Appended, Broken> {
        let message = Unstored {
            subject: row.subject(),
            id: row.change_id.to_string(),
            payload: row.payload()?.into(),
        };
        let appended = self.bus.append(ROLE_CHANGES, message, last).await?;
        self.mark(row.change_id).await?;
        Ok(appended)
    }

    async fn mark(&self, change: Uuid) -> Result<(), StoreError> {
        if self.store.announced(change).await? {
            self.metrics.announced.inc();
            debug!(change.id = %change, "role change announced");
        }
        Ok(())
    }

    /// Shows how full the stream is, and once how it differs from what it must look like. That it cannot be looked
    /// at is said by who has something to store.
    async fn watch(&self) -> Infallible {
        let mut named = false;
        loop {
            if let Ok(state) = self.bus.stream_state(ROLE_CHANGES).await {
                if state.max_bytes > 0 {
                    let free = 1.0 - state.bytes as f64 / state.max_bytes as f64;
                    let headroom = &self.metrics.stream_headroom;
                    headroom.with_label_values(&[ROLE_CHANGES]).set(free.max(0.0));
                }
                for difference in state.differences.iter().filter(|_| !named) {
                    warn!(
                        stream = ROLE_CHANGES,
                        "the stream is not as it must be: {difference}; run `rolekeeper migrate`"
                    );
                }
                named = true;
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Waits for a hint, or a while.
    async fn idle(&self) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(LOOK_ANYWAY) => {}
        }
    }

    async fn hear(&self) -> Result<(), StoreError> {
        let mut waker = self.store.listen(Wake::RoleChanges).await?;
        loop {
            self.wake.notify_one();
            waker.heard().await?;
        }
    }
}
