//! Publishing to a stream, with the acknowledgement awaited.
//!
//! Owns when a message counts as stored: only after JetStream said so; and how many messages are in flight at once, so
//! that a large delivery never holds up another publisher. Must never drop a message in silence.

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Bus;

/// Most messages of one delivery in flight at once.
const WINDOW: usize = 256;
/// Most messages of all deliveries in flight at once, the first of each delivery not counted: each delivery may have one
/// in flight whatever the others do. With the listener's bound on connections the sum stays below the client's permits.
const BULK: usize = 2_000;

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

/// The bus did not store a message; the sender must try again.
#[derive(Debug, thiserror::Error)]
#[error("not stored by JetStream: {0}")]
pub struct PublishError(pub(super) String);

/// What all deliveries share: the messages that may be in flight beyond one of each delivery. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Bulk(Arc<Semaphore>);

impl Default for Bulk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BULK)))
    }
}

/// A delivery: messages that are sent in order, some of them at once.
#[derive(Debug)]
pub struct Delivery<'a> {
    bus: &'a Bus,
    /// Sent and not acknowledged yet, oldest first; the oldest has no permit of its own.
    in_flight: VecDeque<(Sent, Option<OwnedSemaphorePermit>)>,
    known: u64,
}

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    ack: PublishAckFuture,
    subject: Subject,
    /// Refusals up to this one are not about it.
    since: u64,
}

impl Bus {
    /// Begins a delivery.
    ///
    /// # Errors
    /// The bus is not connected.
    pub fn delivery(&self) -> Result<Delivery<'_>, PublishError> {
        // Waiting for a connection inside the client would hold a webhook request for minutes.
        if !self.is_connected() {
            return Err(PublishError(format!("not connected{}", self.why_unconnected())));
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
    /// It was not stored, or is not known to be. Publishing it again is safe: it is known by its id.
    pub async fn store(&self, message: Unstored) -> Result<(), PublishError> {
        let mut delivery = self.delivery()?;
        delivery.send(message).await?;
        delivery.finish().await.map(|_| ())
    }

    async fn send(&self, message: Unstored) -> Result<Sent, PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message.id.as_str());
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
    /// Sends a message, after it has waited for acknowledgements where too many are missing.
    ///
    /// # Errors
    /// A message of this delivery was not stored, or is not known to be. Publishing all of them again is safe: those
    /// that were stored are known by their id.
    pub async fn send(&mut self, message: Unstored) -> Result<(), PublishError> {
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
        self.in_flight.push_back((sent, permit));
        Ok(())
    }

    /// Waits until each message is acknowledged. Returns how many the stream had already, by their ids inside its
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
        // The place that every delivery has goes to the message that is the oldest now.
        if let Some((_, permit)) = self.in_flight.front_mut() {
            *permit = None;
        }
        Ok(())
    }
}
