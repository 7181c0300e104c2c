//! Reading a stream from a given sequence, without acknowledgements.
//!
//! Owns the deliveries. Must never skip a message without an error: the consumer numbers each message, and a gap in the
//! numbers ends the reader.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{self, Stream};
use async_nats::{HeaderMap, HeaderName, Subject};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use super::consumer::{Consumer, said};
use super::refusals::Refusals;
use super::streams::unix_ns;
use super::{Bus, BusError};
use crate::traces;
use rolekeeper_domain::event::Headers;

/// Time after which a pull request is renewed when the stream is quiet.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// Interval of the server's heartbeats for the consumer; two missed heartbeats end the reader.
const IDLE_HEARTBEAT: Duration = Duration::from_secs(5);
/// Most bytes of one pull request. The server closes a connection on which 64 MiB wait to be read.
const PULL_BYTES: usize = 16 << 20;
/// Bytes that a delivery adds to the largest payload: subject, reply and headers, with a wide margin.
const BESIDE_PAYLOAD: usize = 64 << 10;

/// Reads one stream in order.
pub struct Reader {
    messages: Stream,
    consumer: Consumer,
    waiting: u64,
    consumer_seq: u64,
    broken: Option<ReadError>,
    disconnects: watch::Receiver<u64>,
    /// Refusals of its requests, the subject of its requests, and the number of the last refusal before them.
    refusals: (Refusals, String, u64),
}

/// The reason why a reader ended. In each case, the fold starts a new reader at the cursor.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A delivery was missed: the consumer's numbers have a gap.
    #[error("delivery {expected} was missed, {got} was delivered instead")]
    Missed {
        /// The expected number.
        expected: u64,
        /// The delivered number.
        got: u64,
    },
    /// The stream holds messages that were not delivered.
    #[error("the stream ends at {0}, and nothing more was delivered")]
    Behind(u64),
    /// The server allows pull requests of this many messages only.
    #[error("the server accepts pull requests of {0} messages at most")]
    BatchTooLarge(usize),
    /// The consumer is gone, the server does not respond for it, or the connection was lost.
    #[error("the consumer ended: {0}")]
    Ended(String),
}

/// One message of a stream. It holds only the needed parts of the client library's message, since thousands are in memory at
/// once. A clone shares subject and payload.
#[derive(Clone, Debug)]
pub struct Message {
    subject: Subject,
    headers: Option<Box<Headers>>,
    payload: Bytes,
    size: usize,
    /// The context of the trace to which it belongs; none unless this worker exports traces.
    pub trace: Option<Box<str>>,
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the stream stored it, Unix nanoseconds.
    pub stored_ns: i64,
    /// Messages after it in the stream when it was delivered.
    pub pending: u64,
}

impl Message {
    pub(super) fn new(
        subject: Subject,
        (headers, trace): (Option<Box<Headers>>, Option<Box<str>>),
        payload: Bytes,
        (seq, stored_ns, pending): (u64, i64, u64),
    ) -> Self {
        Self {
            subject,
            headers,
            size: payload.len(),
            payload,
            trace,
            seq,
            stored_ns,
            pending,
        }
    }

    /// Returns the subject on which it was published.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns its headers that say how the event is written; none for the plain form.
    #[must_use]
    pub fn headers(&self) -> Option<&Headers> {
        self.headers.as_deref()
    }

    /// Returns the payload as published, unless it was shortened.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the bytes of the whole payload.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns about how many bytes of memory it uses.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let headers = self.headers.as_ref().map_or(0, |headers| headers.held_bytes());
        let trace = self.trace.as_ref().map_or(0, |trace| trace.len());
        self.subject.len() + headers + trace + self.payload.len()
    }

    /// Keeps only the first `bytes` of the payload, and frees the memory of the rest.
    #[must_use]
    pub fn shortened(mut self, bytes: usize) -> Self {
        // The bytes are copied: a slice would keep the whole buffer in memory, with the messages around it.
        self.payload = Bytes::copy_from_slice(&self.payload[..self.payload.len().min(bytes)]);
        self
    }
}

impl Bus {
    /// Reads `stream` from sequence `from` on, with pull requests of `batch` messages.
    ///
    /// # Errors
    /// JetStream does not respond or refuses the consumer.
    pub async fn reader(&self, stream: &str, from: u64, batch: usize) -> Result<Reader, BusError> {
        self.reader_of(stream, None, from, batch).await
    }

    /// The same, of the messages whose subject the filter names.
    ///
    /// # Errors
    /// JetStream does not respond or refuses the consumer.
    pub async fn reader_of(
        &self,
        stream: &str,
        filter: Option<&str>,
        from: u64,
        batch: usize,
    ) -> Result<Reader, BusError> {
        let mut disconnects = self.disconnects.clone();
        disconnects.mark_unchanged();
        let policy = DeliverPolicy::ByStartSequence {
            start_sequence: from.max(1),
        };
        let (consumer, made) = self.consumer(stream, policy, filter).await?;
        let waiting = made.cached_info().num_pending;
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
                waiting,
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

    /// Ends a reader, and deletes its consumer. If that fails, the server deletes it some minutes later.
    pub async fn close(&self, reader: Reader) {
        let Reader { consumer, .. } = reader;
        self.delete(consumer).await;
    }
}

impl Reader {
    /// Number of messages that the stream had for it when it was created.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Waits for at least one message and returns the messages that have arrived by then, in order: at most `most` of them, and
    /// none after they reach `most_bytes`. Safe to cancel: no message is taken before the first one arrives, and the others
    /// are taken without a wait.
    ///
    /// # Errors
    /// The reader ended; earlier calls returned the messages before.
    pub async fn next_batch(&mut self, most: usize, most_bytes: usize) -> Result<Vec<Message>, ReadError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let (refusals, pull, since) = &self.refusals;
        let first = tokio::select! {
            biased;
            next = self.messages.next() => next,
            // The server counts lost messages as delivered; in a quiet stream no later message would show the gap.
            _ = self.disconnects.changed() => {
                return Err(ReadError::Ended("the connection was lost".to_owned()));
            }
            why = refusals.refused(pull, *since) => return Err(ReadError::Ended(why)),
        };
        let first = self.check(first)?;
        let mut bytes = first.held_bytes();
        let mut batch = vec![first];
        while batch.len() < most && bytes < most_bytes {
            // This poll is outside tokio's budget: inside it, a busy task would get "pending" after 128 messages.
            let Some(next) = tokio::task::unconstrained(self.messages.next()).now_or_never() else {
                break;
            };
            match self.check(next) {
                Ok(message) => {
                    bytes += message.held_bytes();
                    batch.push(message);
                }
                Err(error) => {
                    // Messages before the fault are valid; the next call returns the fault.
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
        let async_nats::Message {
            subject,
            headers,
            payload,
            ..
        } = inner.message;
        let headers = headers
            .as_ref()
            .map(|headers| (of_event(headers), of_trace(headers)));
        let headers = headers.unwrap_or_default();
        Ok(Message::new(subject, headers, payload, (seq, stored_ns, pending)))
    }
}

/// The headers that say how the event is written.
fn of_event(headers: &HeaderMap) -> Option<Box<Headers>> {
    let all = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(move |value| (name, value.as_str()))
    });
    Headers::among(all)
}

/// The context of the trace to which the message belongs.
fn of_trace(headers: &HeaderMap) -> Option<Box<str>> {
    traces::parent(|wanted| {
        let of_name = |(name, _): &(&HeaderName, _)| wanted.eq_ignore_ascii_case(name.as_ref());
        Some(headers.iter().find(of_name)?.1.first()?.as_str())
    })
}

/// Parses the client library's error, which contains the server's text.
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
