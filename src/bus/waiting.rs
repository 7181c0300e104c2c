//! What of a stream waits behind a place in it.
//!
//! Owns the count, which is the server's own. Must never take silence for "nothing there", and never read what it counts.

use async_nats::jetstream::consumer::DeliverPolicy;

use super::fetch::{Stored, Which};
use super::{Bus, BusError};

/// Where to look for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At this sequence or behind it.
    Seq(u64),
    /// Stored later than this, Unix nanoseconds.
    StoredAfter(i64),
}

/// The messages from a place on.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// How many there are, by the server's count.
    pub count: u64,
    /// The first of them.
    pub first: Option<Stored>,
}

impl Bus {
    /// How many messages of `stream` lie at a place and behind it, and the first of them.
    ///
    /// # Errors
    /// JetStream does not answer, or its answers contradict each other.
    pub async fn waiting(&self, stream: &str, from: From) -> Result<Waiting, BusError> {
        let policy = match from {
            From::Seq(seq) => DeliverPolicy::ByStartSequence {
                start_sequence: seq.max(1),
            },
            From::StoredAfter(ns) => DeliverPolicy::ByStartTime {
                start_time: time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ns) + 1)
                    .unwrap_or(time::OffsetDateTime::UNIX_EPOCH),
            },
        };
        // A consumer that delivers nothing: the server says what it would deliver, and from where.
        let (consumer, made) = self.consumer(stream, policy).await?;
        let info = made.cached_info();
        let (count, start) = (info.num_pending, info.delivered.stream_sequence + 1);
        self.delete(consumer).await;
        if count == 0 {
            return Ok(Waiting { count, first: None });
        }
        match self.fetch(stream, Which::From(start)).await? {
            Some(first) => Ok(Waiting {
                count,
                first: Some(first),
            }),
            None => Err(BusError::JetStream {
                doing: "count messages",
                why: format!("{count} messages wait from {start} on, and none is found there"),
            }),
        }
    }
}
