//! Talks to NATS JetStream, and to nothing else.
//!
//! Owns the connection, the streams, publishing and reading. Must never decide what an event means, and
//! never acknowledge: the position of a reader lives in Postgres.

mod append;
mod connect;
mod consumer;
mod fetch;
mod publish;
mod reader;
mod refusals;
mod server;
mod shape;
mod shown;
mod streams;
mod trim;
mod waiting;

use std::sync::Arc;

use async_nats::connection::State;
use async_nats::jetstream;
use tokio::sync::watch;

pub use append::{Appended, End};
pub use fetch::{Stored, Which};
pub use publish::{Delivery, PublishError, Unstored};
pub use reader::{Message, ReadError, Reader};
pub use shape::Limits;
pub use streams::{APP_EVENTS, AUTH0_LOGS, ROLE_CHANGES, STREAMS, StreamState};
pub use trim::Room;
pub use waiting::{From, Waiting};

/// A connection to NATS that mends itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    /// What subjects of the JetStream API begin with.
    api_prefix: Arc<str>,
    /// What the server refuses on this connection.
    refusals: refusals::Refusals,
    /// What deliveries may have in flight together.
    bulk: publish::Bulk,
    /// How often the connection was lost; deliveries under way are lost with it.
    disconnects: watch::Receiver<u64>,
}

/// Why the bus could not answer.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The settings of the connection cannot be used; trying again will not help.
    #[error("NATS settings: {0}")]
    Settings(String),
    /// JetStream did not answer, or refused.
    #[error("JetStream: {doing}: {why}")]
    JetStream {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        why: String,
    },
    /// The stream is not there.
    #[error("JetStream has no stream {0}; run `rolekeeper migrate`")]
    NoStream(String),
    /// The server lacks what the streams need; another server is needed.
    #[error("nats-server {0} is too old: rolekeeper needs 2.10 or newer; upgrade the server and start again")]
    OldServer(String),
}

impl Bus {
    /// Whether a server is connected right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Largest message the connected server takes, in bytes; what NATS takes by default before it is connected.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        match self.client.max_payload() {
            0 => 1 << 20,
            bytes => bytes,
        }
    }
}
