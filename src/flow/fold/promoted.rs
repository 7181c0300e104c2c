//! A mirror that took the place of APP_EVENTS: its duplicate window started empty.
//!
//! Owns which ids are remembered for one window, and when that ends. Must never forget an id that a publisher may still
//! repeat.

use std::time::Duration;

use tracing::{info, warn};

use super::leadership::{Hand, Leadership};
use super::source::Source;
use crate::bus::{APP_EVENTS, Bus, BusError, From, Message, ReadError, Which};
use crate::store::{Cursor, Store, StoreError, event_ids, promoted};
use rolekeeper_domain::dedup_window::{self, DedupWindow};
use rolekeeper_domain::event;

/// Messages whose ids are stored in one transaction.
const AT_ONCE: usize = 5_000;
/// Bytes that are read at once.
const BYTES_AT_ONCE: usize = 16 << 20;
/// The shortest window that has partitions.
const SHORTEST: Duration = Duration::from_secs(4);
/// Consecutive reads without a message after which reading is given up.
const ENDS_AT_MOST: u32 = 5;

/// The reason why the ids could not be remembered.
#[derive(Debug, thiserror::Error)]
pub enum RememberError {
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// JetStream failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The stream could not be read.
    #[error("reading {0}")]
    Read(#[from] ReadError),
}

/// Remembers the ids of the messages that the stream stored within `window` before the cursor's message, so that the
/// fold drops messages that are published again. Safe to repeat. Returns their number.
///
/// # Errors
/// The stream cannot be read, or Postgres fails.
pub async fn remember(
    store: &Store,
    bus: &Bus,
    cursor: &Cursor,
    window: Duration,
) -> Result<u64, RememberError> {
    let from = cursor.last_stored_ns.saturating_sub_unsigned(nanos(window));
    let first = bus.waiting(APP_EVENTS, From::StoredAfter(from)).await?.first;
    let last = cursor.last_seq.unsigned_abs();
    let (mut next, mut ids, mut ends) = (first.map_or(last + 1, |first| first.seq), 0, 0);
    while next <= last {
        let mut reader = bus.reader(APP_EVENTS, next, AT_ONCE).await?;
        let why = loop {
            match reader.next_batch(AT_ONCE, BYTES_AT_ONCE).await {
                Ok(mut messages) => {
                    ends = 0;
                    messages.retain(|message| message.seq <= last);
                    ids += keep(store, window, &messages).await?;
                    match messages.last() {
                        Some(message) if message.seq < last => next = message.seq + 1,
                        _ => {
                            bus.close(reader).await;
                            return Ok(ids);
                        }
                    }
                }
                Err(why) => break why,
            }
        };
        bus.close(reader).await;
        ends += 1;
        if ends > ENDS_AT_MOST {
            return Err(why.into());
        }
        // A message that no client can parse has no id that counts.
        if let Some(stored) = bus.fetch(APP_EVENTS, Which::From(next)).await?
            && stored.fault().is_some()
        {
            next = stored.seq + 1;
        }
    }
    Ok(ids)
}

async fn keep(store: &Store, window: Duration, messages: &[Message]) -> Result<u64, StoreError> {
    let events = messages.iter().filter_map(|message| {
        let event = event::parse(message.subject(), message.headers(), message.payload()).ok()?;
        Some((message, event))
    });
    let mut events: Vec<_> = events.collect();
    events.sort_by(|(_, one), (_, other)| one.id.as_str().cmp(other.id.as_str()));
    events.dedup_by(|(_, one), (_, other)| one.id == other.id);
    let newest = events.iter().map(|(message, _)| second(message.stored_ns)).max();
    let (Some(newest), Some(dedup_window)) = (newest, dedup_window_of(window)) else {
        return Ok(0);
    };
    let mut tx = store.begin().await?;
    let mut partitions = event_ids::partitions_now(&mut tx).await?;
    if let Some(partition) = dedup_window.missing(&partitions, newest) {
        event_ids::make_now(&mut tx, &partition).await?;
        partitions.push(partition);
    }
    let (mut kept_in, mut payloads, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let mut stored_ns = Vec::new();
    for (message, event) in &events {
        if let Some(partition) = dedup_window::partition_of(&partitions, second(message.stored_ns)) {
            kept_in.push(partition.from);
            payloads.push(event::content_hash(message.headers(), message.payload()));
            ids.push(event.id.as_str());
            stored_ns.push(message.stored_ns);
        }
    }
    event_ids::keep_counted(&mut tx, &kept_in, &payloads, &ids, &stored_ns).await?;
    tx.commit().await?;
    crash_point!("ids_kept");
    Ok(ids.len() as u64)
}

impl Leadership<'_> {
    /// How long ids are remembered behind this cursor: as the setting says, and for at least one window while a
    /// promoted mirror's own window is not full.
    pub(super) fn dedup_window(&self, cursor: &Cursor) -> Option<DedupWindow> {
        let set = self.fold.dedup_window;
        if self.fold.source != Source::AppEvents || cursor.dedup_until_ns <= cursor.last_stored_ns {
            return set;
        }
        let window = Duration::from_secs(cursor.duplicate_window_s.unsigned_abs());
        set.max(dedup_window_of(window))
    }

    /// Ends the dedup once the window is over, and removes the ids where no setting keeps them.
    pub(super) async fn end_dedup(&self, hand: &mut Hand<'_>) -> Result<(), StoreError> {
        if hand.cursor.dedup_until_ns == 0 || self.dedup_window(hand.cursor) != self.fold.dedup_window {
            return Ok(());
        }
        if self.fold.dedup_window.is_none() {
            for partition in event_ids::partitions(hand.lock).await? {
                if let Err(why) = event_ids::drop_partition(hand.lock, &partition).await {
                    warn!(
                        "event ids from before the promotion were not removed, retrying after the next batch: {why}"
                    );
                    return Ok(());
                }
            }
        }
        promoted::dedup_ended(hand.lock, self.fold.source.stream()).await?;
        hand.cursor.dedup_until_ns = 0;
        info!(
            stream = self.fold.source.stream(),
            "the promoted stream drops duplicates by itself from now on"
        );
        Ok(())
    }
}

fn dedup_window_of(window: Duration) -> Option<DedupWindow> {
    DedupWindow::new(window.max(SHORTEST))
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Time at which the stream stored it, Unix seconds.
fn second(stored_ns: i64) -> i64 {
    stored_ns.div_euclid(1_000_000_000)
}
