//! Detects a Postgres that was restored from a backup by the messages of ROLE_CHANGES.
//!
//! Owns the comparison of the stream with the audit, batch by batch, and its consequences: an error, a metric, and the
//! users to be read at Auth0. Must never revoke a role, nor queue a user before the fold has counted again the events
//! that the backup lacks: the role might be earned.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tracing::{debug, error, info};
use uuid::Uuid;

use crate::bus::{APP_EVENTS, Bus, BusError, End, ROLE_CHANGES, Stored, StreamState, Which};
use crate::metrics::Metrics;
use crate::store::{AnnouncedChange, AnnouncedEnd, ForgottenChanges, Store, StoreError};
use rolekeeper_domain::plural::noun;

/// Messages that are compared in one transaction.
const BATCH: usize = 200;
/// Interval at which waiting users are checked.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A database is much smaller than the stream when it lacks more changes than the first number, and more than one in
/// so many of the changes that it knows (the second number).
const MUCH_SMALLER: (i64, i64) = (10, 10);

/// The comparison; runs where this worker announces.
#[derive(Debug)]
pub(super) struct Forgotten {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) metrics: Arc<Metrics>,
}

/// The reason why the comparison was interrupted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// The fields that are read from a message.
#[derive(Deserialize)]
struct Payload {
    change_id: Uuid,
    user_id: String,
    role: String,
    change: String,
}

impl Forgotten {
    /// Compares the messages behind the last marked change, where they are more than the one change that a worker which
    /// ended may have left unmarked.
    pub(super) async fn compare(&self, known: Option<&AnnouncedEnd>, end: &End) -> Result<(), Broken> {
        let before = self.store.forgotten().await?;
        let until = end.seq.cast_signed();
        let marked = known.filter(|known| known.created_ns == end.created_ns);
        let read = before.as_ref().filter(|read| read.created_ns == end.created_ns);
        let place = marked.map_or(0, |marked| marked.seq);
        let place = place.max(read.map_or(0, |read| read.read_to));
        let last = end.message_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
        let last_is_known = match last {
            Some(change) => self.store.knows_change(change).await?,
            None => false,
        };
        // The usual ends: no message, one message without its mark, or a stream whose changes were never marked here.
        let usual = until <= place || (last_is_known && (until == place + 1 || marked.is_none()));
        if usual && read.is_none_or(|read| read.read_to >= read.until) {
            self.show(before.as_ref());
            return Ok(());
        }
        let behind = until - place;
        let holds = known.is_none() || behind > MUCH_SMALLER.0.max(place / MUCH_SMALLER.1);
        let holds = holds && !last_is_known;
        let begun = self
            .store
            .compare_changes(end.created_ns, place, until.max(place), holds)
            .await?;
        let found = self.read(begun).await?;
        if found.unknown == 0 {
            self.store.nothing_forgotten().await?;
        }
        self.report(&found);
        Ok(())
    }

    /// Reads the stream up to its former end, batch by batch.
    async fn read(&self, mut at: ForgottenChanges) -> Result<ForgottenChanges, Broken> {
        while at.read_to < at.until {
            let mut announced = Vec::new();
            let mut read_to = at.read_to;
            for _ in 0..BATCH {
                let next = Which::From(read_to.unsigned_abs() + 1);
                let stored = self.bus.fetch(ROLE_CHANGES, next).await?;
                let Some(stored) = stored.filter(|stored| stored.seq.cast_signed() <= at.until) else {
                    read_to = at.until;
                    break;
                };
                read_to = stored.seq.cast_signed();
                announced.extend(change_in(&stored));
            }
            at = self.store.compared(read_to, &announced).await?;
        }
        Ok(at)
    }

    fn report(&self, found: &ForgottenChanges) {
        self.show(Some(found));
        if found.unknown == 0 {
            debug!("ROLE_CHANGES holds no change that the audit does not know");
            return;
        }
        let next = if found.holds {
            "No role is revoked until `rolekeeper resume --why TEXT`: the database is empty, or much smaller than the stream"
        } else {
            "Their users are read at Auth0 once all events are counted again; `rolekeeper resume --why TEXT` ends this report"
        };
        error!(
            stream = ROLE_CHANGES,
            changes = found.unknown,
            "{} {} announced that the audit does not know: this database was restored from a backup, or is \
             another one. {next}",
            found.unknown,
            noun(found.unknown, "role change was", "role changes were")
        );
    }

    fn show(&self, found: Option<&ForgottenChanges>) {
        let unknown = found.map_or(0, |found| found.unknown);
        self.metrics.room.changes_forgotten.set(unknown);
    }

    /// Queues the users whose changes the audit lacks, once the fold has counted the events that lay in the stream when
    /// they were found.
    ///
    /// # Errors
    /// Postgres failed.
    pub(super) async fn run(&self) -> Result<std::convert::Infallible, StoreError> {
        let mut awaited = None;
        loop {
            self.show(self.store.forgotten().await?.as_ref());
            if !self.store.has_forgotten_holders().await? {
                awaited = None;
            } else if self.is_counted(&mut awaited).await? {
                loop {
                    let users = self.store.queue_forgotten_holders().await?;
                    if users == 0 {
                        break;
                    }
                    info!(
                        users,
                        "queued the users whose role changes are missing from the audit; each is read at Auth0"
                    );
                }
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether the fold has reached the end that the stream of plays had at the first call.
    async fn is_counted(&self, awaited: &mut Option<StreamState>) -> Result<bool, StoreError> {
        let Ok(now) = self.bus.stream_state(APP_EVENTS).await else {
            return Ok(false);
        };
        let end = awaited
            .take()
            .filter(|end| end.created_ns == now.created_ns)
            .unwrap_or(now);
        let cursor = self.store.cursor(APP_EVENTS).await?;
        let counted = cursor.is_some_and(|cursor| {
            cursor.created_ns == end.created_ns && cursor.last_seq >= end.last_seq.cast_signed()
        });
        *awaited = Some(end);
        Ok(counted && self.store.open_loss(APP_EVENTS).await?.is_none())
    }
}

/// The change that a message announces; none where it is not one of our messages, or names an erased person.
fn change_in(stored: &Stored) -> Option<AnnouncedChange> {
    let id = Uuid::parse_str(&stored.header("Nats-Msg-Id")?).ok()?;
    let Payload {
        change_id,
        user_id,
        role,
        change,
    } = serde_json::from_slice(&stored.payload).ok()?;
    let granted = match change.as_str() {
        "granted" => true,
        "revoked" => false,
        _ => return None,
    };
    let usable =
        change_id == id && !user_id.starts_with("erased:") && !user_id.contains('\0') && !role.contains('\0');
    usable.then(|| AnnouncedChange {
        seq: stored.seq.cast_signed(),
        change_id,
        user: user_id,
        role,
        granted,
    })
}
