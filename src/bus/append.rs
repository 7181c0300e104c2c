//! Appending to a stream that has a single writer.
//!
//! Owns that a message is stored directly after the one the caller knows to be last, or not at all: a writer that was
//! suspended while another worker wrote is refused, and nothing is stored twice or out of order. Must never guess whether a
//! message was stored: a caller without an acknowledgement reads the stream's end.

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;

use super::fetch::Which;
use super::{Bus, BusError, Outgoing, PublishError};

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When the stream was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the last message ever stored; 0 without one.
    pub seq: u64,
    /// Message id of the last message; none when there is no message, or it has no id.
    pub message_id: Option<String>,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The message was stored, with this sequence.
    At(u64),
    /// The stream stored a message with its id before, with this sequence. It may have lost that one since.
    Duplicate(u64),
}

/// Bytes kept free in a stream that is appended to. nats-server 2.9.10 drops the oldest message of a full stream instead of
/// refusing the new one, when the message fits the free room and its stored record does not.
const SPARE_BYTES: i64 = 64 << 10;

impl Bus {
    /// Returns the end of `stream` and the id of its last message.
    ///
    /// # Errors
    /// The stream does not exist, or JetStream does not respond.
    pub async fn end(&self, stream: &str) -> Result<End, BusError> {
        let state = self.stream_state(stream).await?;
        let last = match state.messages {
            0 => None,
            // The message may also have expired between the two requests.
            _ => self.fetch(stream, Which::At(state.last_seq)).await?,
        };
        let message_id = last.and_then(|last| last.header(NATS_MESSAGE_ID.as_ref()));
        Ok(End {
            created_ns: state.created_ns,
            seq: state.last_seq,
            message_id,
        })
    }

    /// Stores a message directly after sequence `last` of `stream` and waits for the acknowledgement.
    ///
    /// # Errors
    /// The message was not stored, or is not known to be; or `last` is not the end of the stream. The caller must read the
    /// end of the stream before a retry.
    pub async fn append(
        &self,
        stream: &'static str,
        message: Outgoing,
        last: u64,
    ) -> Result<Appended, PublishError> {
        // The client would keep the message until it is connected again, long after the caller gave up.
        if let Some(why) = self.unconnected() {
            return Err(PublishError(format!("not connected{why}")));
        }
        let state = self
            .stream_state(stream)
            .await
            .map_err(|error| PublishError(error.to_string()))?;
        let room = state
            .max_bytes
            .saturating_sub(i64::try_from(state.bytes).unwrap_or(i64::MAX));
        if state.max_bytes > 0 && room < SPARE_BYTES {
            return Err(PublishError(format!(
                "{stream} is full, except for {SPARE_BYTES} bytes that are kept free"
            )));
        }
        let publish = PublishMessage::build()
            .payload(message.payload)
            .message_id(message.id)
            .expected_stream(stream)
            .expected_last_sequence(last);
        let since = self.refusals.now();
        let sent = self
            .jetstream
            .send_publish(message.subject.clone(), publish)
            .await;
        let ack = sent.map_err(|error| PublishError(self.because(&error)))?;
        let ack = self
            .answered(&message.subject, since, ack)
            .await
            .map_err(PublishError)?;
        Ok(if ack.duplicate {
            Appended::Duplicate(ack.sequence)
        } else {
            Appended::At(ack.sequence)
        })
    }
}
