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
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::forgotten::{self, Forgotten};
use super::patience::Patience;
use crate::bus::{Appended, Bus, BusError, End, PublishError, ROLE_CHANGES, Unstored, Which};
use crate::domain::announcement::Announcement;
use crate::metrics::Metrics;
use crate::store::{AnnouncedEnd, Store, StoreError, Wake};

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
    forgotten: Forgotten,
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
    #[error("the role change cannot be written as JSON: {0}")]
    Payload(#[from] serde_json::Error),
}

impl From<forgotten::Broken> for Broken {
    fn from(broken: forgotten::Broken) -> Self {
        match broken {
            forgotten::Broken::Store(why) => why.into(),
            forgotten::Broken::Bus(why) => why.into(),
        }
    }
}

impl Announce {
    pub(super) fn new(store: Store, bus: Bus, metrics: Arc<Metrics>) -> Self {
        Self {
            forgotten: Forgotten {
                store: store.clone(),
                bus: bus.clone(),
                metrics: Arc::clone(&metrics),
            },
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
            ended = self.forgotten.run() => ended.map(|never| match never {}),
        }
    }

    /// Announces what is completed, from the end of the stream on, until that end is not where it was thought to be.
    async fn follow(&self, patience: &mut Patience) -> Result<(), Broken> {
        let (created_ns, mut last) = self.find_end().await?;
        loop {
            // Read after the end was known: what another worker stores from now on moves the end, and this one is
            // refused.
            let rows = self.store.unannounced(ROWS).await?;
            if rows.is_empty() {
                patience.succeeded();
                self.idle().await;
            }
            for row in rows {
                match self.announce(&row, created_ns, last).await? {
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
    async fn find_end(&self) -> Result<(i64, u64), Broken> {
        // Read before the stream is: a change that is marked meanwhile lies behind.
        let known = self.store.announced_end().await?;
        let end = self.bus.end(ROLE_CHANGES).await?;
        self.forgotten.compare(known.as_ref(), &end).await?;
        self.compare(known, &end).await?;
        if let Some(change) = change_of(&end) {
            self.mark(change, end.created_ns, Some(end.seq)).await?;
        }
        Ok((end.created_ns, end.seq))
    }

    /// Notes and tells when the stream lacks what was announced. Announcing goes on: others wait for what is new.
    async fn compare(&self, known: Option<AnnouncedEnd>, end: &End) -> Result<(), StoreError> {
        let Some(known) = known else { return Ok(()) };
        let fresh = match lost(&known, end) {
            // A mirror that was promoted was made at another time, and holds what was announced in its place.
            Some(_) if end.created_ns != known.created_ns => match self.is_copy(&known).await {
                Ok(true) => None,
                Ok(false) => lost(&known, end),
                Err(why) => {
                    debug!("the end of ROLE_CHANGES could not be compared with the audit: {why}");
                    return Ok(());
                }
            },
            fresh => fresh,
        };
        if let Some(what) = &fresh {
            error!(
                stream = ROLE_CHANGES,
                "{what}. Role changes that were announced are missing from it. To send them again: rolekeeper announce \
                 --from TIME"
            );
            let seq = end.seq.cast_signed();
            let change = change_of(end);
            self.store
                .announcements_lost(what, end.created_ns, seq, change)
                .await?;
        }
        let stands = fresh.is_some() || known.lost.is_some();
        self.metrics.room.announcements_lost.set(i64::from(stands));
        Ok(())
    }

    /// Whether the stream holds the change that was marked last where the one before held it.
    async fn is_copy(&self, known: &AnnouncedEnd) -> Result<bool, BusError> {
        let at = Which::At(known.seq.unsigned_abs());
        let there = self.bus.fetch(ROLE_CHANGES, at).await?;
        let id = there.and_then(|there| there.header("Nats-Msg-Id"));
        Ok(id.is_some_and(|id| id == known.change_id.to_string()))
    }

    /// Announces one change and marks it.
    async fn announce(&self, row: &Announcement, created_ns: i64, last: u64) -> Result<Appended, Broken> {
        let message = Unstored {
            subject: row.subject(),
            id: row.change_id.to_string(),
            payload: row.payload()?.into(),
        };
        let appended = self.bus.append(ROLE_CHANGES, message, last).await?;
        let seq = match appended {
            Appended::At(seq) => Some(seq),
            Appended::Repeat => None,
        };
        self.mark(row.change_id, created_ns, seq).await?;
        self.store.sent_again(row.change_id).await?;
        Ok(appended)
    }

    async fn mark(&self, change: Uuid, created_ns: i64, seq: Option<u64>) -> Result<(), StoreError> {
        let seq = seq.map(u64::cast_signed);
        if self.store.announced(change, created_ns, seq).await? {
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
                        "the stream's configuration is wrong: {difference}; run `rolekeeper migrate`"
                    );
                }
                named = true;
            }
            // A stream that is quiet shows a loss here.
            if let Ok(known) = self.store.announced_end().await
                && let Ok(end) = self.bus.end(ROLE_CHANGES).await
                && let Err(why) = self.compare(known, &end).await
            {
                debug!("the end of ROLE_CHANGES could not be compared with the audit: {why}");
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

/// What the stream lacks of what was announced, in words.
fn lost(known: &AnnouncedEnd, end: &End) -> Option<String> {
    let seq = known.seq.unsigned_abs();
    if end.created_ns != known.created_ns {
        return Some(format!(
            "the stream was recreated, or is another one: it ends at {}, {seq} was announced in the previous one",
            end.seq
        ));
    }
    if end.seq < seq {
        return Some(format!(
            "the stream ends at {}, but {seq} was announced: an older copy was restored, or the last messages were lost",
            end.seq
        ));
    }
    (end.seq == seq && change_of(end).is_some_and(|id| id != known.change_id))
        .then(|| format!("message {seq} of the stream differs from the announced one"))
}

/// The change that the last message tells of.
fn change_of(end: &End) -> Option<Uuid> {
    Uuid::parse_str(end.message_id.as_deref()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_lacks_what_was_announced_is_told() {
        let change_id = Uuid::now_v7();
        let known = AnnouncedEnd {
            created_ns: 1,
            seq: 10,
            change_id,
            lost: None,
        };
        let end = |created_ns, seq, id: Option<Uuid>| End {
            created_ns,
            seq,
            message_id: id.map(|id| id.to_string()),
        };
        for good in [
            end(1, 10, Some(change_id)),
            end(1, 10, None),
            end(1, 11, Some(Uuid::now_v7())),
        ] {
            assert_eq!(lost(&known, &good), None);
        }
        for (bad, told) in [
            (end(2, 12, Some(change_id)), "recreated"),
            (end(1, 9, Some(change_id)), "older copy"),
            (end(1, 0, None), "older copy"),
            (end(1, 10, Some(Uuid::now_v7())), "differs"),
        ] {
            assert!(
                lost(&known, &bad).is_some_and(|what| what.contains(told)),
                "{bad:?}"
            );
        }
    }
}
