//! Takes the deliveries of Auth0's log stream and stores them, record by record.
//!
//! Owns that a record acknowledged to the sender is never lost. Must never judge a record: that is the fold's task, and
//! a refusal would make Auth0 send the same batch forever.

use std::time::Duration;

use bytes::Bytes;

use crate::bus::{Bus, Outgoing, PublishError};
use rolekeeper_domain::log_batch::{self, UNREADABLE};
use rolekeeper_domain::subjects::AUTH0_LOGS;

/// Bytes that NATS adds to a message's payload: subject, id and their frame.
const ENVELOPE_BYTES: usize = 1 << 10;

/// Longest time to store one delivery; with the time for its body, its sender has the response within a minute.
pub const STORED_WITHIN: Duration = Duration::from_secs(25);

/// A delivery is not known to be stored.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// The bus did not take it.
    #[error(transparent)]
    Bus(#[from] PublishError),
    /// The bus was too slow.
    #[error("JetStream did not store the delivery within {} s", STORED_WITHIN.as_secs())]
    Late,
}

/// The way of the tenant's log onto the bus.
#[derive(Clone, Debug)]
pub struct Accept(Bus);

/// The content of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Records stored.
    pub records: u64,
    /// Pieces stored that could not be split into records, or are too large for a message.
    pub unreadable: u64,
    /// Pieces of both kinds that the stream had already.
    pub known: u64,
}

impl Accept {
    /// Stores on `bus`.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self(bus)
    }

    /// Whether the bus is connected right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Stores all pieces of the body as they are split. Takes no longer than [`STORED_WITHIN`].
    ///
    /// # Errors
    /// A piece is not known to be stored: the sender must send the body again. The stream knows the stored pieces by
    /// their ids.
    pub async fn accept(&self, body: &Bytes) -> Result<Accepted, NotStored> {
        let stored = tokio::time::timeout(STORED_WITHIN, self.store(body)).await;
        Ok(stored.map_err(|_| NotStored::Late)??)
    }

    async fn store(&self, body: &Bytes) -> Result<Accepted, PublishError> {
        let longest = self.0.max_message_bytes().saturating_sub(ENVELOPE_BYTES);
        let mut accepted = Accepted::default();
        let mut delivery = self.0.delivery()?;
        let mut before = String::new();
        for piece in log_batch::split(body) {
            // Splitting waits for no IO, so other tasks of this thread get their turn here.
            tokio::task::consume_budget().await;
            let whole = piece.bytes.len() <= longest;
            let subject = if whole { piece.subject.as_str() } else { UNREADABLE };
            if subject == UNREADABLE {
                accepted.unreadable += 1;
            } else {
                accepted.records += 1;
            }
            // The stream would drop the repeat: skipping it here saves a message for each repeated id.
            if piece.message_id == before {
                accepted.known += 1;
                continue;
            }
            // A piece that no message can hold is stored up to the limit; a dead letter keeps less than that.
            let payload = body.slice_ref(&piece.bytes[..piece.bytes.len().min(longest)]);
            before.clone_from(&piece.message_id);
            delivery
                .send(Outgoing {
                    subject: format!("{AUTH0_LOGS}{subject}"),
                    id: piece.message_id,
                    content_type: None,
                    payload,
                })
                .await?;
        }
        accepted.known += delivery.finish().await?;
        crash_point!("stored");
        Ok(accepted)
    }
}
