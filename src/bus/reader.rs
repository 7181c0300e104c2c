//! Reading a stream from a given sequence, without acknowledgements.
//!
//! Owns the ephemeral pull consumer. Must never skip a delivery in silence: each message is numbered by the
//! consumer, and a number that does not follow ends the reader.

use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::consumer::pull::{self, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, ReplayPolicy};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use super::streams::unix_ns;
use super::{Bus, BusError};

/// The consumer outlives pauses of ours (a slow transaction, a stopped process) by this much; the server's
/// own default is 5 s.
const INACTIVE_THRESHOLD: Duration = Duration::from_mins(5);
/// A pull request is renewed this often when the stream is quiet.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// The server shows that the consumer lives this often; two missed ones end the reader.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(5);

/// How long a message that is there may take to come.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// Reads one stream in order.
pub struct Reader {
    messages: Stream,
    consumer_seq: u64,
    broken: Option<ReadError>,
    disconnects: watch::Receiver<u64>,
}

/// Why a reader ended. Whatever it was: start again at the cursor.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A delivery was missed: the consumer's own numbering has a gap.
    #[error("delivery {expected} was missed, {got} came instead")]
    Missed {
        /// Number expected.
        expected: u64,
        /// Number that came.
        got: u64,
    },
    /// The stream has messages that were never delivered.
    #[error("the stream ends at {0}, and nothing more was delivered")]
    Behind(u64),
    /// The consumer is gone, the server does not answer for it, or the connection was lost.
    #[error("the consumer ended: {0}")]
    Ended(String),
}

/// One message of a stream: what is needed of it, not all that the client library holds; thousands wait at once.
#[derive(Debug)]
pub struct Message {
    subject: Subject,
    payload: Bytes,
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the stream stored it, Unix nanoseconds.
    pub stored_ns: i64,
    /// Messages behind it in the stream when it was delivered.
    pub pending: u64,
}

impl Message {
    /// Subject it was published on.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Payload as it was published.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Where to look for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At this sequence or behind it.
    Seq(u64),
    /// Stored later than this, Unix nanoseconds.
    StoredAfter(i64),
}

impl Bus {
    /// Sequence of the first message there is; none when there is none.
    ///
    /// # Errors
    /// JetStream does not answer.
    pub async fn first(&self, stream: &str, from: From) -> Result<Option<u64>, BusError> {
        let policy = match from {
            From::Seq(seq) => DeliverPolicy::ByStartSequence {
                start_sequence: seq.max(1),
            },
            From::StoredAfter(ns) => DeliverPolicy::ByStartTime {
                start_time: time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ns) + 1)
                    .unwrap_or(time::OffsetDateTime::UNIX_EPOCH),
            },
        };
        let mut reader = self.open(stream, policy, 1).await?;
        match tokio::time::timeout(FIRST_WAIT, reader.next_batch(1)).await {
            Err(_) => Ok(None),
            Ok(Ok(batch)) => Ok(batch.first().map(|message| message.seq)),
            Ok(Err(why)) => Err(BusError::JetStream {
                doing: "read first message",
                why: why.to_string(),
            }),
        }
    }

    /// Reads `stream` from sequence `from` on, asking for `batch` messages at a time.
    ///
    /// # Errors
    /// JetStream does not answer or refuses the consumer.
    pub async fn reader(&self, stream: &str, from: u64, batch: usize) -> Result<Reader, BusError> {
        self.open(
            stream,
            DeliverPolicy::ByStartSequence {
                start_sequence: from.max(1),
            },
            batch,
        )
        .await
    }

    async fn open(
        &self,
        stream: &str,
        deliver_policy: DeliverPolicy,
        batch: usize,
    ) -> Result<Reader, BusError> {
        let said = |doing: &'static str, why: String| BusError::JetStream { doing, why };
        let mut disconnects = self.disconnects.clone();
        disconnects.mark_unchanged();
        let config = pull::Config {
            description: Some("rolekeeper fold".to_owned()),
            deliver_policy,
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            inactive_threshold: INACTIVE_THRESHOLD,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = self
            .jetstream
            .create_consumer_on_stream(config, stream)
            .await
            .map_err(|error| said("create consumer", error.to_string()))?;
        // Old servers accept what they do not know and leave it out; without these two, reading is not safe.
        let made = &consumer.cached_info().config;
        if made.ack_policy != AckPolicy::None || made.inactive_threshold != INACTIVE_THRESHOLD {
            return Err(said(
                "create consumer",
                "the server did not take its settings over".to_owned(),
            ));
        }
        let messages = consumer
            .stream()
            .max_messages_per_batch(batch)
            .expires(PULL_EXPIRES)
            .heartbeat(IDLE_HEARTBEAT)
            .messages()
            .await
            .map_err(|error| said("pull", error.to_string()))?;
        Ok(Reader {
            messages,
            consumer_seq: 0,
            broken: None,
            disconnects,
        })
    }
}

impl Reader {
    /// Waits for at least one message and takes what has arrived by then, in order, `most` of them at most.
    /// Safe to cancel: nothing is taken before the first message is there, and the rest is taken at once.
    ///
    /// # Errors
    /// The reader ended; messages read before that were handed out by earlier calls.
    pub async fn next_batch(&mut self, most: usize) -> Result<Vec<Message>, ReadError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let first = tokio::select! {
            biased;
            next = self.messages.next() => next,
            // The server counts as delivered what it had sent; in a quiet stream nothing would ever show the gap.
            _ = self.disconnects.changed() => {
                return Err(ReadError::Ended("the connection was lost".to_owned()));
            }
        };
        let mut batch = vec![self.check(first)?];
        while batch.len() < most {
            // Outside tokio's budget: inside it, a busy task is told "nothing there" after 128 messages.
            let Some(next) = tokio::task::unconstrained(self.messages.next()).now_or_never() else {
                break;
            };
            match self.check(next) {
                Ok(message) => batch.push(message),
                Err(error) => {
                    // What came before the fault is good; the fault is told at the next call.
                    self.broken = Some(error);
                    break;
                }
            }
        }
        Ok(batch)
    }

    fn check(
        &mut self,
        next: Option<Result<async_nats::jetstream::Message, pull::MessagesError>>,
    ) -> Result<Message, ReadError> {
        let inner = match next {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(ReadError::Ended(error.to_string())),
            None => return Err(ReadError::Ended("the subscription was closed".to_owned())),
        };
        let info = inner
            .info()
            .map_err(|error| ReadError::Ended(error.to_string()))?;
        let expected = self.consumer_seq + 1;
        if info.consumer_sequence != expected {
            return Err(ReadError::Missed {
                expected,
                got: info.consumer_sequence,
            });
        }
        self.consumer_seq = expected;
        let (seq, stored_ns, pending) = (info.stream_sequence, unix_ns(info.published), info.pending);
        let async_nats::Message { subject, payload, .. } = inner.message;
        Ok(Message {
            subject,
            payload,
            seq,
            stored_ns,
            pending,
        })
    }
}
