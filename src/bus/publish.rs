//! Publishing to a stream, with acknowledgement.
//!
//! Owns when a message counts as stored: only after JetStream acknowledged it; and how many messages are in flight at once, so
//! that a large delivery never delays another publisher. Must never drop a message without an error.

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Bus, permission};

/// Most messages of one delivery in flight at once.
const WINDOW: usize = 256;
/// A message to be stored.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its subject.
    pub subject: String,
    /// Its message id, by which JetStream drops duplicates inside the stream's duplicate window.
    pub id: String,
    /// The media type of its payload, for the header `Content-Type`; none where the subject implies it.
    pub content_type: Option<&'static str>,
    /// Its payload.
    pub payload: Bytes,
}

/// JetStream did not store a message; the sender must retry.
#[derive(Debug, thiserror::Error)]
#[error("not stored by JetStream: {0}")]
pub struct PublishError(pub(super) String);

impl PublishError {
    /// The error with this reason.
    #[cfg(test)]
    pub(crate) fn because(why: String) -> Self {
        Self(why)
    }

    /// Returns whether the server refuses this user, so that a retry does not help.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        permission::refusal(&self.0).is_some()
    }
}

/// A delivery: messages that are sent in order, several of them in flight at once.
#[derive(Debug)]
pub struct Delivery<'a> {
    bus: &'a Bus,
    /// Sent messages without acknowledgement, oldest first; the oldest needs no permit.
    in_flight: VecDeque<(Sent, Option<OwnedSemaphorePermit>)>,
    known: u64,
}

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    ack: PublishAckFuture,
    subject: Subject,
    /// Number of the last refusal before the message was sent: only later ones can concern it.
    since: u64,
}

impl Bus {
    /// Begins a delivery.
    ///
    /// # Errors
    /// NATS is not connected.
    pub fn delivery(&self) -> Result<Delivery<'_>, PublishError> {
        // The client would wait for a connection and block a webhook request for minutes.
        if let Some(why) = self.unconnected() {
            return Err(PublishError(format!("not connected{why}")));
        }
        Ok(Delivery {
            bus: self,
            in_flight: VecDeque::new(),
            known: 0,
        })
    }

    /// Stores one message and waits for the acknowledgement.
    ///
    /// # Errors
    /// The message was not stored, or is not known to be. A retry is safe: JetStream drops duplicates by the message id.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        let mut delivery = self.delivery()?;
        delivery.send(message).await?;
        delivery.finish().await?;
        crash_point!("published");
        Ok(())
    }

    async fn send(&self, message: Outgoing) -> Result<Sent, PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message.id.as_str());
        if let Some(content_type) = message.content_type {
            headers.insert("Content-Type", content_type);
        }
        let (subject, since) = (Subject::from(message.subject), self.refusals.now());
        let sent = self
            .jetstream
            .publish_with_headers(subject.clone(), headers, message.payload)
            .await;
        let ack = sent.map_err(|error| PublishError(self.because(&error)))?;
        Ok(Sent { ack, subject, since })
    }
}

impl Delivery<'_> {
    /// Sends a message; waits for acknowledgements before, where too many are missing.
    ///
    /// # Errors
    /// A message of this delivery was not stored, or is not known to be. A retry of the whole delivery is safe: JetStream drops
    /// duplicates by the message id.
    pub async fn send(&mut self, message: Outgoing) -> Result<(), PublishError> {
        let permit = loop {
            if self.in_flight.is_empty() {
                break None;
            }
            if self.in_flight.len() < WINDOW
                && let Ok(permit) = Arc::clone(&self.bus.bulk.0).try_acquire_owned()
            {
                break Some(permit);
            }
            self.acknowledged().await?;
        };
        let sent = self.bus.send(message).await?;
        crash_point!("sent");
        self.in_flight.push_back((sent, permit));
        Ok(())
    }

    /// Waits until each message is acknowledged. Returns how many the stream already had, by their ids inside its
    /// duplicate window.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn finish(mut self) -> Result<u64, PublishError> {
        while !self.in_flight.is_empty() {
            self.acknowledged().await?;
        }
        Ok(self.known)
    }

    /// Waits for the oldest acknowledgement.
    async fn acknowledged(&mut self) -> Result<(), PublishError> {
        if let Some((Sent { ack, subject, since }, _permit)) = self.in_flight.pop_front() {
            let ack = self
                .bus
                .answered(&subject, since, ack)
                .await
                .map_err(PublishError)?;
            self.known += u64::from(ack.duplicate);
        }
        // The next message is now the oldest and needs no permit.
        if let Some((_, permit)) = self.in_flight.front_mut() {
            *permit = None;
        }
        Ok(())
    }
}
