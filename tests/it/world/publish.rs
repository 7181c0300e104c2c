//! Publishes as an app server does: under an id, repeated until the stream has it.

use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::message::PublishMessage;
use futures_util::future::join_all;

use super::World;
use super::wait::{WITHIN, poll};
use crate::world::events::Sent;

/// Messages published before the wait for their acknowledgements.
pub(super) const IN_FLIGHT: usize = 1_000;

impl World {
    /// Publishes events in order and waits until all are stored. An event without an acknowledgement is published again
    /// under its id, as a publisher would.
    pub(crate) async fn publish(&self, events: &[Sent]) {
        for some in events.chunks(IN_FLIGHT) {
            let mut acks = Vec::with_capacity(some.len());
            for event in some {
                acks.push(self.try_publish(event).await);
            }
            // All at once: each waits separately for a response that a dead server does not send.
            let acks = acks.into_iter().map(async |ack| ack.ok()?.await.ok());
            for (event, ack) in some.iter().zip(join_all(acks).await) {
                match ack {
                    Some(ack) => self.oracle().stored(ack.sequence, event.clone()),
                    None => self.publish_again(event).await,
                }
            }
        }
    }

    async fn publish_again(&self, event: &Sent) {
        let stored = poll(WITHIN, async || {
            let ack = self.try_publish(event).await.ok()?.await.ok()?;
            self.oracle().stored(ack.sequence, event.clone());
            Some(())
        });
        assert!(
            stored.await.is_some(),
            "{} was not stored in {WITHIN:?}",
            event.id
        );
    }

    /// Publishes one event silently: the caller does not wait, and the oracle does not know it.
    pub(crate) async fn try_publish(&self, event: &Sent) -> Result<PublishAckFuture, PublishError> {
        let (headers, payload) = event.wire();
        let mut message = PublishMessage::build()
            .payload(payload.into())
            .message_id(&event.id);
        for (name, value) in headers {
            message = message.header(name, value);
        }
        self.jetstream.send_publish(event.subject.clone(), message).await
    }
}
