//! Reads the messages of one playlist's partition for a plot of its count.
//!
//! Owns the limits of a read: its time, its messages, and that one read runs at a time. Must never delay a fold by more than this
//! one read of the stream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::bus::{Bus, BusError, Message, Partition};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::event;
use rolekeeper_domain::view::count_history::{CountHistory, Counting, Edge, End};

/// Longest time of a read.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// Most messages of a read.
const MOST_MESSAGES: u64 = 1_000_000;
/// Messages and bytes that are taken at once.
const AT_ONCE: (usize, usize) = (5_000, 4 << 20);

/// The reads of this worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CountReads {
    bus: Bus,
    one: Arc<Semaphore>,
}

/// The reason why there is no plot.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// Another page is read now.
    #[error("another plot is being read; only one is read at a time, so try again in some seconds")]
    Busy,
    /// NATS refused or did not respond.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// NATS did not respond in time.
    #[error("NATS did not respond within {} s", READ_WITHIN.as_secs())]
    Late,
}

impl CountReads {
    /// Reads through `bus`.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            one: Arc::new(Semaphore::new(1)),
        }
    }

    /// The count of a playlist over time. `now` is its count in Postgres.
    ///
    /// # Errors
    /// Another read runs, or NATS does not respond.
    pub async fn of(&self, playlist: &str, now: i64) -> Result<CountHistory, NotRead> {
        let deadline = Instant::now() + READ_WITHIN;
        let acquired = timeout_at(deadline, self.one.acquire()).await;
        let Ok(Ok(_one)) = acquired else {
            return Err(NotRead::Busy);
        };
        let opened = timeout_at(deadline, self.bus.partition(playlist, MOST_MESSAGES)).await;
        let Partition {
            mut reader,
            pending,
            begins_late,
        } = opened.map_err(|_| NotRead::Late)??;
        let mut counting = Counting::of(playlist);
        let (mut left, mut end) = (pending, End::Newest);
        while left > 0 {
            end = match timeout_at(deadline, reader.next_batch(AT_ONCE.0, AT_ONCE.1)).await {
                Ok(Ok(batch)) => {
                    left = batch.last().map_or(0, |last| last.pending);
                    take(&mut counting, &batch);
                    End::Newest
                }
                Ok(Err(_)) => End::Broken,
                Err(_) => End::Time,
            };
            if end != End::Newest {
                break;
            }
        }
        self.bus.close(reader).await;
        Ok(counting.end(end, begins_late, now))
    }
}

fn take(counting: &mut Counting, batch: &[Message]) {
    for message in batch {
        let edge = Edge {
            seq: message.seq,
            at: of_unix_ns(message.stored_ns),
        };
        let event = event::parse(message.subject(), message.headers(), message.payload()).ok();
        counting.take(edge, event.as_ref());
    }
}
