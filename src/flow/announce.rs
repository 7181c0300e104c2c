//! Publishes completed role changes to the stream `ROLE_CHANGES`.
//!
//! Owns that each completed audit row is stored there once, the changes of one user in their order. A row is marked
//! after its message was acknowledged, and the next is sent after the mark. So a worker that ends in between leaves one
//! message without its mark, the stream's last, and the next worker marks it. Each message is stored only right behind
//! the last known one, so a worker that slept while another took over is refused. The message id, which is the row's
//! id, is a second guard inside the stream's duplicate window. Must never announce a change that was not completed, and
//! never drop or skip a row: it waits for a stream that is full, missing or out of reach.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::forgotten::{self, Forgotten};
use super::retry_loop::RetryLoop;
use crate::bus::{Appended, Bus, BusError, End, Outgoing, PublishError, ROLE_CHANGES, Which};
use crate::metrics::{Later, Metrics, Stream};
use crate::store::{AnnouncedEnd, Channel, Store, StoreError};
use rolekeeper_domain::announcement::Announcement;

/// Rows read at once; they are still sent one by one.
const ROWS: i64 = 100;
/// Interval at which the audit is polled without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Interval at which the stream itself is checked.
const WATCH_EVERY: Duration = Duration::from_secs(30);

/// The announcer; runs where this worker reconciles.
#[derive(Debug)]
pub(super) struct Announce {
    store: Store,
    bus: Bus,
    metrics: Arc<Metrics>,
    forgotten: Forgotten,
    /// Signals that a change was completed.
    wake: Notify,
}

/// The reason why announcing was interrupted.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// Postgres failed: the leadership ends.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream cannot be read; retried.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A change was not stored; retried.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// JetStream drops a change that the stream lost as a duplicate; retried until it forgets the message id.
    #[error(
        "ROLE_CHANGES no longer holds change {0}, as after a purge, and drops it as a duplicate until the stream's duplicate window is over"
    )]
    Dropped(Uuid),
    /// A row cannot be serialized; logged until the operator has fixed it.
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

    /// Announces until the stop is requested; waits for the bus as long as needed.
    ///
    /// # Errors
    /// Postgres failed.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut retry = RetryLoop::new("announcing role changes");
        let announce = async {
            while !stop.is_cancelled() {
                match self.follow(&mut retry).await {
                    Ok(()) => {}
                    Err(Broken::Store(why)) => return Err(why),
                    Err(why) => retry.wait(&why, stop).await,
                }
            }
            Ok(())
        };
        tokio::select! {
            ended = announce => ended,
            ended = self.listen() => ended,
            never = self.watch() => match never {},
            ended = self.forgotten.run() => ended.map(|never| match never {}),
        }
    }

    /// Announces completed changes from the end of the stream on, until that end is not at its expected place.
    async fn follow(&self, retry: &mut RetryLoop) -> Result<(), Broken> {
        let (created_ns, mut last) = self.find_end().await?;
        loop {
            // Read after the end is known: a message that another worker stores from now on moves the end, and this
            // worker is refused.
            let rows = self.store.unannounced(ROWS).await?;
            if rows.is_empty() {
                retry.succeeded();
                self.idle().await;
            }
            for row in rows {
                match self.announce(&row, created_ns, last).await? {
                    Appended::At(seq) => last = seq,
                    // An attempt that was given up has arrived after all, or another worker announces too: the rows in
                    // memory may be announced already.
                    Appended::Duplicate(_) => return Ok(()),
                }
                retry.succeeded();
            }
        }
    }

    /// Returns where the stream ends. A row that was stored and not marked is marked here.
    async fn find_end(&self) -> Result<(i64, u64), Broken> {
        // Read before the stream: a change that is marked meanwhile lies before its end.
        let known = self.store.announced_end().await?;
        let end = self.bus.end(ROLE_CHANGES).await?;
        self.forgotten.compare(known.as_ref(), &end).await?;
        self.compare(known, &end).await?;
        if let Some(change) = change_of(&end) {
            self.mark(change, (end.created_ns, Some(end.seq)), false).await?;
        }
        Ok((end.created_ns, end.seq))
    }

    /// Records and reports that the stream lacks announced changes. Announcing continues: readers wait for new changes.
    async fn compare(&self, known: Option<AnnouncedEnd>, end: &End) -> Result<(), StoreError> {
        let Some(known) = known else { return Ok(()) };
        let fresh = match lost(&known, end) {
            // A promoted mirror has another creation time, and holds the announced change at the same place.
            Some(_) if end.created_ns != known.created_ns => {
                match self.is_at(known.seq.unsigned_abs(), known.change_id).await {
                    Ok(true) => None,
                    Ok(false) => lost(&known, end),
                    Err(why) => {
                        debug!("the end of ROLE_CHANGES could not be compared with the audit: {why}");
                        return Ok(());
                    }
                }
            }
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

    /// Whether the stream holds this change with this sequence.
    async fn is_at(&self, seq: u64, change: Uuid) -> Result<bool, BusError> {
        let there = self.bus.fetch(ROLE_CHANGES, Which::At(seq)).await?;
        let id = there.and_then(|there| there.header("Nats-Msg-Id"));
        Ok(id.is_some_and(|id| id == change.to_string()))
    }

    /// Announces one change and marks it.
    async fn announce(&self, row: &Announcement, created_ns: i64, last: u64) -> Result<Appended, Broken> {
        let message = Outgoing {
            subject: row.subject(),
            id: row.change_id.to_string(),
            content_type: None,
            payload: row.payload()?.into(),
        };
        let appended = self.bus.append(ROLE_CHANGES, message, last).await?;
        crash_point!("appended");
        let seq = match appended {
            Appended::At(seq) => Some(seq),
            Appended::Duplicate(seq) if self.is_at(seq, row.change_id).await? => None,
            Appended::Duplicate(_) => return Err(Broken::Dropped(row.change_id)),
        };
        self.mark(row.change_id, (created_ns, seq), true).await?;
        Ok(appended)
    }

    /// Marks a change that the stream, created at this time, holds at this sequence; `sent` just now, or found there.
    async fn mark(
        &self,
        change: Uuid,
        (created_ns, seq): (i64, Option<u64>),
        sent: bool,
    ) -> Result<(), StoreError> {
        let seq = seq.map(u64::cast_signed);
        if self.store.announced(change, created_ns, seq, sent).await? {
            self.metrics.announced.inc();
            debug!(change.id = %change, "role change announced");
        }
        Ok(())
    }

    /// Shows how full the stream is, and once how its configuration differs. An unreachable stream is reported by the
    /// publishers.
    async fn watch(&self) -> Infallible {
        let mut named = false;
        loop {
            if let Ok(state) = self.bus.stream_state(ROLE_CHANGES).await {
                if state.max_bytes > 0 {
                    let free = 1.0 - state.bytes as f64 / state.max_bytes as f64;
                    let headroom = &self.metrics.stream_headroom;
                    headroom.of(Later(Stream(ROLE_CHANGES))).set(free.max(0.0));
                }
                for difference in state.differences.iter().filter(|_| !named) {
                    warn!(
                        stream = ROLE_CHANGES,
                        "the stream's configuration is wrong: {difference}; run `rolekeeper migrate`"
                    );
                }
                named = true;
            }
            // In a quiet stream a loss shows here.
            if let Ok(known) = self.store.announced_end().await
                && let Ok(end) = self.bus.end(ROLE_CHANGES).await
                && let Err(why) = self.compare(known, &end).await
            {
                debug!("the end of ROLE_CHANGES could not be compared with the audit: {why}");
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Waits for a notification, or for the poll interval.
    async fn idle(&self) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }

    async fn listen(&self) -> Result<(), StoreError> {
        let mut listener = self.store.listen(Channel::RoleChanges).await?;
        loop {
            self.wake.notify_one();
            listener.notified().await?;
        }
    }
}

/// Describes which announced changes the stream lacks.
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

/// The change that the last message announces.
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
