//! Appending to a stream that nobody else writes to.
//!
//! Owns that a message is stored right behind the one the caller knows to be last, or not at all: a writer that
//! slept while another went on is refused, and nothing is stored twice or out of order. Must never guess whether a
//! message was stored: who was not told looks at the stream's end.

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;

use super::fetch::Which;
use super::{Bus, BusError, PublishError, Unstored};

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When the stream was made, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the last message ever stored; 0 when there was none.
    pub seq: u64,
    /// Message id of the last message; none when there is no message, or it carries no id.
    pub message_id: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is the last message now, with this sequence.
    At(u64),
    /// The stream held a message with its id already.
    Repeat,
}

/// Kept free in a stream that is appended to: nats-server 2.9.10 drops the oldest message of a full one, although
/// it is to refuse the new one, when the message fits the room that is left and its stored record does not.
const SPARE_BYTES: i64 = 64 << 10;

impl Bus {
    /// Where `stream` ends and what lies there.
    ///
    /// # Errors
    /// It is not there, or JetStream does not answer.
    pub async fn end(&self, stream: &str) -> Result<End, BusError> {
        let state = self.stream_state(stream).await?;
        let last = match state.messages {
            0 => None,
            // None too when its age was up between the two questions.
            _ => self.fetch(stream, Which::At(state.last_seq)).await?,
        };
        let message_id = last.and_then(|last| last.header(NATS_MESSAGE_ID.as_ref()));
        Ok(End {
            created_ns: state.created_ns,
            seq: state.last_seq,
            message_id,
        })
    }

    /// Stores a message right behind sequence `last` of `stream` and waits for the acknowledgement.
    ///
    /// # Errors
    /// It was not stored, or is not known to be; or `last` is not the end of the stream. Look at the end of the
    /// stream before the next attempt.
    pub async fn append(
        &self,
        stream: &'static str,
        message: Unstored,
        last: u64,
    ) -> Result<Appended, PublishError> {
        // The client would keep it until it is connected again, long after the caller gave up.
        if !self.is_connected() {
            return Err(PublishError(format!("not connected{}", self.why_unconnected())));
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
                "{stream} is full but for {SPARE_BYTES} bytes that are kept free"
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
            Appended::Repeat
        } else {
            Appended::At(ack.sequence)
        })
    }
}
