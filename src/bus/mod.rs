//! The adapter for NATS JetStream.
//!
//! Owns the connection, the streams, publishing and reading. Must never decide the meaning of an event, and never acknowledge
//! a message: the position of a reader is in Postgres.

mod append;
mod bulk;
mod connect;
mod consumer;
mod fetch;
mod names;
mod partition;
mod permission;
mod publish;
mod reader;
mod refusals;
mod replicas;
mod request;
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
pub use names::{APP_EVENTS, AUTH0_LOGS, ROLE_CHANGES, STREAMS};
pub use partition::Partition;
pub use publish::{Delivery, Outgoing, PublishError};
pub use reader::{Message, ReadError, Reader};
pub use replicas::Replicas;
pub use shape::{Limits, duplicate_window};
pub use streams::StreamState;
pub use trim::Room;
pub use waiting::{From, Waiting};

/// A connection to NATS that reconnects by itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    /// Prefix of the subjects of the JetStream API.
    api_prefix: Arc<str>,
    /// Refusals of the server on this connection.
    refusals: refusals::Refusals,
    /// Limit of the messages that all deliveries together have in flight.
    bulk: bulk::Bulk,
    /// Number of lost connections; deliveries in flight are lost with the connection.
    disconnects: watch::Receiver<u64>,
}

/// The error of a request to NATS.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The settings of the connection are invalid; a retry does not help.
    #[error("NATS settings: {0}")]
    Settings(String),
    /// JetStream did not respond, or refused the request.
    #[error("JetStream: {doing}: {why}")]
    JetStream {
        /// Name of the request.
        doing: &'static str,
        /// Text of the error.
        why: String,
    },
    /// No server is connected; the text is the reason where it is known.
    #[error("JetStream: not connected to NATS{0}")]
    Unconnected(String),
    /// The stream does not exist.
    #[error("JetStream has no stream {0}; run `rolekeeper migrate`")]
    NoStream(String),
    /// The server is too old for the streams; it must be upgraded.
    #[error("nats-server {0} is too old: rolekeeper needs 2.10 or newer; upgrade the server and start again")]
    OldServer(String),
}

impl Bus {
    /// Returns whether a server is connected now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Checks that a server is connected now.
    ///
    /// # Errors
    /// None is; with the reason where it is known.
    pub fn connected(&self) -> Result<(), BusError> {
        self.unconnected()
            .map_or(Ok(()), |why| Err(BusError::Unconnected(why)))
    }

    /// Returns the largest message that the connected server accepts, in bytes; the default of NATS before the first connection.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        match self.client.max_payload() {
            0 => 1 << 20,
            bytes => bytes,
        }
    }
}
