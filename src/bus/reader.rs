//! Reading a stream from a given sequence, without acknowledgements.
//!
//! Owns the deliveries. Must never skip one in silence: each message is numbered by the consumer, and a number that does not
//! follow ends the reader.

use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{self, Stream};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use super::consumer::{Consumer, said};
use super::refusals::Refusals;
use super::streams::unix_ns;
use super::{Bus, BusError};

/// A pull request is renewed this often when the stream is quiet.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// The server shows that the consumer lives this often; two missed ones end the reader.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(5);
/// Most bytes of one pull request. The server closes a connection on which 64 MiB wait to be read.
const PULL_BYTES: usize = 16 << 20;
/// What a delivery adds to the largest payload: subject, reply and headers, with much to spare.
const BESIDE_PAYLOAD: usize = 64 << 10;

/// Reads one stream in order.
pub struct Reader {
    messages: Stream,
    consumer: Consumer,
    consumer_seq: u64,
    broken: Option<ReadError>,
    disconnects: watch::Receiver<u64>,
    /// What its requests may be refused, the subject on which it sends them, and the refusals of before.
    refusals: (Refusals, String, u64),
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
    /// The server allows pull requests of this many messages only.
    #[error("the server takes pull requests of {0} messages at most")]
    BatchTooLarge(usize),
    /// The consumer is gone, the server does not answer for it, or the connection was lost.
    #[error("the consumer ended: {0}")]
    Ended(String),
}

/// One message of a stream: what is needed of it, not all that the client library holds; thousands wait at once. A clone
/// shares subject and payload.
#[derive(Clone, Debug)]
pub struct Message {
    subject: Subject,
    payload: Bytes,
    size: usize,
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the stream stored it, Unix nanoseconds.
    pub stored_ns: i64,
    /// Messages behind it in the stream when it was delivered.
    pub pending: u64,
}

impl Message {
    pub(super) fn new(subject: Subject, payload: Bytes, seq: u64, stored_ns: i64, pending: u64) -> Self {
        Self {
            subject,
            size: payload.len(),
            payload,
            seq,
            stored_ns,
            pending,
        }
    }

    /// Subject it was published on.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Payload as it was published, unless it was shortened.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Bytes of the whole payload.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes that it keeps in memory, about.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.subject.len() + self.payload.len()
    }

    /// Keeps only the first `bytes` of the payload, and gives the memory of the rest back.
    #[must_use]
    pub fn shortened(mut self, bytes: usize) -> Self {
        // Copied: a slice would keep all of the buffer alive, with the messages around it.
        self.payload = Bytes::copy_from_slice(&self.payload[..self.payload.len().min(bytes)]);
        self
    }
}

impl Bus {
    /// Reads `stream` from sequence `from` on, asking for `batch` messages at a time.
    ///
    /// # Errors
    /// JetStream does not answer or refuses the consumer.
    pub async fn reader(&self, stream: &str, from: u64, batch: usize) -> Result<Reader, BusError> {
        let mut disconnects = self.disconnects.clone();
        disconnects.mark_unchanged();
        let policy = DeliverPolicy::ByStartSequence {
            start_sequence: from.max(1),
        };
        let (consumer, made) = self.consumer(stream, policy).await?;
        let pull = format!("{}.CONSUMER.MSG.NEXT.{stream}.", self.api_prefix);
        let refusals = (self.refusals.clone(), pull, self.refusals.now());
        let messages = made
            .stream()
            .max_messages_per_batch(batch)
            .max_bytes_per_batch(PULL_BYTES.max(self.max_message_bytes() + BESIDE_PAYLOAD))
            .expires(PULL_EXPIRES)
            .heartbeat(IDLE_HEARTBEAT)
            .messages()
            .await;
        match messages {
            Ok(messages) => Ok(Reader {
                messages,
                consumer,
                consumer_seq: 0,
                broken: None,
                disconnects,
                refusals,
            }),
            Err(error) => {
                self.delete(consumer).await;
                Err(said("pull", &error))
            }
        }
    }

    /// Ends a reader, and its consumer at the server. One that cannot be deleted now goes by itself some minutes later.
    pub async fn close(&self, reader: Reader) {
        let Reader { consumer, .. } = reader;
        self.delete(consumer).await;
    }
}

impl Reader {
    /// Waits for at least one message and takes what has arrived by then, in order: at most `most` of them, and none more
    /// once they have `most_bytes`. Safe to cancel: nothing is taken before the first message is there, and the rest is
    /// taken at once.
    ///
    /// # Errors
    /// The reader ended; messages read before that were handed out by earlier calls.
    pub async fn next_batch(&mut self, most: usize, most_bytes: usize) -> Result<Vec<Message>, ReadError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let (refusals, pull, since) = &self.refusals;
        let first = tokio::select! {
            biased;
            next = self.messages.next() => next,
            // The server counts as delivered what it had sent; in a quiet stream nothing would ever show the gap.
            _ = self.disconnects.changed() => {
                return Err(ReadError::Ended("the connection was lost".to_owned()));
            }
            why = refusals.refused(pull, *since) => return Err(ReadError::Ended(why)),
        };
        let first = self.check(first)?;
        let mut bytes = first.held_bytes();
        let mut batch = vec![first];
        while batch.len() < most && bytes < most_bytes {
            // Outside tokio's budget: inside it, a busy task is told "nothing there" after 128 messages.
            let Some(next) = tokio::task::unconstrained(self.messages.next()).now_or_never() else {
                break;
            };
            match self.check(next) {
                Ok(message) => {
                    bytes += message.held_bytes();
                    batch.push(message);
                }
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
            Some(Err(error)) => return Err(ended(&error.to_string())),
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
        Ok(Message::new(subject, payload, seq, stored_ns, pending))
    }
}

/// The client library's error, in which the server's own words are.
fn ended(why: &str) -> ReadError {
    let limit = why.split_once("Exceeded MaxRequestBatch of ");
    match limit.and_then(|(_, most)| most.trim().parse().ok()) {
        Some(most @ 1..) => ReadError::BatchTooLarge(most),
        _ => ReadError::Ended(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_largest_pull_request() {
        let why = "pull request exceeded consumer limits: Exceeded MaxRequestBatch of 500";
        assert!(matches!(ended(why), ReadError::BatchTooLarge(500)));
        let other = "pull request exceeded consumer limits: Exceeded MaxRequestExpires of 1s";
        assert!(matches!(ended(other), ReadError::Ended(_)));
    }
}
