//! Counts one partition again, from its base and the messages of the stream since, and compares with Postgres.
//!
//! Owns that both sides are of one position: the present counts are read together with their cursor, and the stream is read up to
//! it. Must never write, nor hold a transaction while the stream is read.

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::kept::{Kept, KeptError};
use crate::bus::{APP_EVENTS, Bus, BusError, Message, Stored, Which};
use crate::store::recount::Counted;
use crate::store::{Base, Cursor, Store, StoreError, playlists};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::event::{self, EventKind, PARTITIONS};
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::replay::{Difference, Recount};

/// Attempts at a partition whose base is replaced, and the stream trimmed, while it is read.
const TRIES: u32 = 3;

/// Counts partitions again.
#[derive(Clone, Debug)]
pub struct Recounter<'a> {
    /// Where the counts are.
    pub store: &'a Store,
    /// Connection to the stream.
    pub bus: &'a Bus,
    /// Ends the run.
    pub stop: CancellationToken,
}

/// A partition that was counted again.
#[derive(Clone, Debug)]
pub struct Recounted {
    /// When the stream stored the last message that the base includes; when the base was made, where it includes none.
    pub since: OffsetDateTime,
    /// Playlists that were compared.
    pub playlists: u64,
    /// Messages that were counted again.
    pub messages: u64,
    /// Epoch of the cursor.
    pub epoch: i64,
    /// The base it was counted from.
    pub base: Base,
    /// Playlists that differ, in order of id.
    pub differences: Vec<Difference>,
}

/// The result for a partition.
#[derive(Clone, Debug)]
pub enum Checked {
    /// It was counted again.
    Yes(Recounted),
    /// It could not be, for this reason.
    No(String),
}

/// The reason why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecountError {
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// JetStream failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The stream could not be read, or the stop was requested.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

impl Recounter<'_> {
    /// Counts a partition again.
    ///
    /// # Errors
    /// Postgres or JetStream does not respond, or the stop was requested.
    pub async fn partition(&self, partition: i16) -> Result<Checked, RecountError> {
        let mut checked = Checked::No(String::new());
        for _ in 0..TRIES {
            checked = self.once(partition).await?;
            match &checked {
                Checked::No(_) if self.is_kept_from(partition).await? => {}
                _ => break,
            }
        }
        Ok(checked)
    }

    async fn once(&self, partition: i16) -> Result<Checked, RecountError> {
        let Some(stored) = self.store.partition(partition).await? else {
            return Ok(Checked::No("no worker has folded APP_EVENTS yet".to_owned()));
        };
        let Some(base) = stored.base else {
            return Ok(Checked::No(
                "there is no base yet: a worker that folds APP_EVENTS makes it within some minutes"
                    .to_owned(),
            ));
        };
        let Counted {
            cursor,
            before,
            now,
            replaced,
            letters,
            ..
        } = stored;
        let mut recount = Recount::default();
        // A row that another client stored with a wrong partition may be in a base: it is of no count here.
        for (id, life) in before.into_iter().filter(|(id, _)| is_of(partition, id)) {
            recount.know(id, life);
        }
        let extent = (base.last_seq.unsigned_abs() + 1, cursor.last_seq.unsigned_abs());
        if let Some(why) = self.missing(extent, &cursor).await? {
            return Ok(Checked::No(why));
        }
        let filter = self.filter(partition, extent).await?;
        let reach = match &filter {
            Some(filter) => self
                .bus
                .newest(APP_EVENTS, filter)
                .await?
                .map_or(0, |newest| newest.seq),
            None => extent.1,
        };
        // The newest one may be before the base.
        let reach = if reach < extent.0 { 0 } else { reach };
        let mut kept = Kept::new(self.bus, extent, self.stop.clone())
            .of(filter)
            .reaching(reach);
        let mut messages = 0;
        let read = async {
            while let Some(batch) = kept.next().await? {
                for message in &batch {
                    let micros = i128::from(message.stored_ns.div_euclid(1_000));
                    let is_letter = letters.get(&message.seq) == Some(&micros);
                    let deletes = if is_letter {
                        Some(false)
                    } else {
                        replaced.get(&message.seq).copied()
                    };
                    messages += u64::from(take(&mut recount, message, (partition, deletes)));
                }
            }
            Ok::<_, KeptError>(())
        };
        let read = read.await;
        kept.close().await;
        if let Err(interrupted @ KeptError::Interrupted) = read {
            return Err(interrupted.into());
        }
        // Trimmed meanwhile, or by another client.
        if let Some(why) = self.missing(extent, &cursor).await? {
            return Ok(Checked::No(why));
        }
        read?;
        Ok(Checked::Yes(Recounted {
            since: if base.last_stored_ns > 0 {
                of_unix_ns(base.last_stored_ns)
            } else {
                base.made_at
            },
            playlists: now.len() as u64,
            messages,
            epoch: cursor.epoch,
            base,
            differences: recount.compare(now),
        }))
    }

    /// Why the stream does not have the messages of this extent, up to the cursor; none where it has them.
    async fn missing(
        &self,
        (first, last): (u64, u64),
        cursor: &Cursor,
    ) -> Result<Option<String>, RecountError> {
        let state = self.bus.stream_state(APP_EVENTS).await?;
        if state.created_ns != cursor.created_ns {
            let why = "the stream APP_EVENTS was created again since the fold counted";
            return Ok(Some(why.to_owned()));
        }
        if first > last {
            return Ok(None);
        }
        if state.first_seq > first {
            let begins = state.first_seq;
            let why =
                format!("the stream begins at message {begins}, and the base ends before message {first}");
            return Ok(Some(why));
        }
        let lacking = (state.last_seq + 1 - state.first_seq.max(1)).saturating_sub(state.messages);
        if lacking > 0 {
            let why = format!(
                "the stream lacks {lacking} {} between its first and its last one: another client of NATS removed {}",
                noun(lacking, "message", "messages"),
                noun(lacking, "it", "them")
            );
            return Ok(Some(why));
        }
        let at_cursor = self.bus.fetch(APP_EVENTS, Which::At(last)).await?;
        let is_same =
            |at_cursor: &Stored| cursor.last_stored_ns == 0 || at_cursor.stored_ns == cursor.last_stored_ns;
        Ok((!at_cursor.as_ref().is_some_and(is_same)).then(|| {
            "the stream does not have the message at the cursor: it was restored, or purged".to_owned()
        }))
    }

    /// Whether the stream now has all messages since the base.
    async fn is_kept_from(&self, partition: i16) -> Result<bool, RecountError> {
        let bases = self.store.bases().await?;
        let Some(base) = bases.iter().find(|base| base.partition == partition) else {
            return Ok(false);
        };
        let Some(cursor) = self.store.cursor(APP_EVENTS).await? else {
            return Ok(false);
        };
        let extent = (base.last_seq.unsigned_abs() + 1, cursor.last_seq.unsigned_abs());
        Ok(self.missing(extent, &cursor).await?.is_none())
    }

    /// The subjects of the partition. Messages from before the subject transform have the playlist's id instead, so all are read
    /// where the first is one of them.
    async fn filter(&self, partition: i16, (first, _): (u64, u64)) -> Result<Option<String>, RecountError> {
        let first = self.bus.fetch(APP_EVENTS, Which::From(first)).await?;
        let is_partition = |subject: &str| {
            let token = subject.rsplit('.').next().and_then(|token| token.parse().ok());
            token.is_some_and(|token: u32| token < PARTITIONS)
        };
        let is_old = first.is_some_and(|first| !is_partition(&first.subject));
        Ok((!is_old).then(|| format!("*.{partition}")))
    }
}

fn is_of(partition: i16, playlist: &str) -> bool {
    playlists::partition(playlist) == partition
}

/// Takes a message as the fold did; returns whether it is of the partition.
fn take(recount: &mut Recount, message: &Message, (partition, deletes): (i16, Option<bool>)) -> bool {
    let Ok(mut event) = event::parse(message.subject(), message.headers(), message.payload()) else {
        return false;
    };
    if !is_of(partition, event.playlist.as_str()) {
        return false;
    }
    match deletes {
        Some(true) => event.kind = EventKind::Deleted { owner: None },
        Some(false) => return true,
        None => {}
    }
    recount.take(&event, message.stored_ns);
    true
}
