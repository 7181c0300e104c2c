//! The messages of a stream from a position on.
//!
//! Owns their count, which the server makes. Must never treat a missing response as "no messages", and never read the counted
//! messages.

use async_nats::jetstream::consumer::DeliverPolicy;

use super::fetch::{Stored, Which};
use super::{Bus, BusError};

/// A position in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Messages at this sequence or after it.
    Seq(u64),
    /// Messages stored later than this, Unix nanoseconds.
    StoredAfter(i64),
}

/// The messages from a position on.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Number of the messages, by the server's count.
    pub count: u64,
    /// The first message.
    pub first: Option<Stored>,
}

impl Bus {
    /// Returns the number of messages of `stream` at a position and after it, and the first of them.
    ///
    /// # Errors
    /// JetStream does not respond, or its responses contradict each other.
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
        // This consumer delivers nothing: the server only reports how many messages it would deliver, and from which sequence.
        let (consumer, made) = self.consumer(stream, policy, None).await?;
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
                why: format!("{count} messages wait from sequence {start} on, but none was found there"),
            }),
        }
    }
}
