//! Publishing to a stream, with the acknowledgement awaited.
//!
//! Owns when a message counts as stored: only after JetStream said so. Must never drop one in silence.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::PublishAckFuture;
use bytes::Bytes;

use super::Bus;

/// A message to be stored.
#[derive(Clone, Debug)]
pub struct Unstored {
    /// Subject to publish on.
    pub subject: String,
    /// Message id, by which JetStream drops repeats inside the stream's duplicate window.
    pub id: String,
    /// The payload.
    pub payload: Bytes,
}

/// The bus did not store a message; whoever sent it must try again.
#[derive(Debug, thiserror::Error)]
#[error("not stored by JetStream: {0}")]
pub struct PublishError(pub(super) String);

impl Bus {
    /// Stores all messages, in order, and waits until each is acknowledged. Answers how many the stream had
    /// already, by their ids inside its duplicate window.
    ///
    /// # Errors
    /// At least one was not stored, or not known to be. Publishing all of them again is safe: those that were
    /// stored are known by their id.
    pub async fn store(&self, messages: Vec<Unstored>) -> Result<u64, PublishError> {
        // Waiting for a connection inside the client would hold a webhook request for minutes.
        if !self.is_connected() {
            return Err(PublishError("not connected".to_owned()));
        }
        let mut acks = Vec::with_capacity(messages.len());
        for message in messages {
            acks.push(self.send(message).await?);
        }
        let mut known = 0;
        for ack in acks {
            let ack = ack.await.map_err(|error| PublishError(error.to_string()))?;
            known += u64::from(ack.duplicate);
        }
        Ok(known)
    }

    async fn send(&self, message: Unstored) -> Result<PublishAckFuture, PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message.id.as_str());
        let sent = self
            .jetstream
            .publish_with_headers(message.subject, headers, message.payload)
            .await;
        sent.map_err(|error| PublishError(error.to_string()))
    }
}
