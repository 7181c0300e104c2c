//! Takes what Auth0's log stream posts and stores it, record by record.
//!
//! Owns that nothing a sender was told is stored is ever lost. Must never judge a record: that is the fold's
//! task, and a refusal would make Auth0 send the same batch for ever.

use bytes::Bytes;

use crate::bus::{Bus, PublishError, Unstored};
use crate::domain::log_batch::{self, UNREADABLE};

/// Subjects of the tenant's log.
const PREFIX: &str = "auth0.logs.";
/// What NATS adds to a message's payload: subject, id and their frame.
const ENVELOPE_BYTES: usize = 1 << 10;

/// The way of the tenant's log onto the bus.
#[derive(Clone, Debug)]
pub struct Accept(Bus);

/// What one request held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Records stored.
    pub records: u64,
    /// Pieces stored that could not be split into records, or are too large for a message.
    pub unreadable: u64,
    /// How many of both the stream had already.
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

    /// Stores everything the body holds.
    ///
    /// # Errors
    /// Not everything is known to be stored: the sender must send the body again. What was stored is known by
    /// its id.
    pub async fn accept(&self, body: &Bytes) -> Result<Accepted, PublishError> {
        let longest = self.0.max_message_bytes().saturating_sub(ENVELOPE_BYTES);
        let mut accepted = Accepted::default();
        let mut messages = Vec::new();
        for piece in log_batch::split(body) {
            let whole = piece.bytes.len() <= longest;
            let subject = if whole { piece.subject.as_str() } else { UNREADABLE };
            if subject == UNREADABLE {
                accepted.unreadable += 1;
            } else {
                accepted.records += 1;
            }
            // A piece no message can hold is stored as far as one can; a dead letter keeps less than that.
            let payload = body.slice_ref(&piece.bytes[..piece.bytes.len().min(longest)]);
            messages.push(Unstored {
                subject: format!("{PREFIX}{subject}"),
                id: piece.message_id,
                payload,
            });
        }
        accepted.known = self.0.store(messages).await?;
        Ok(accepted)
    }
}
