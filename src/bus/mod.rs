//! Talks to NATS JetStream, and to nothing else.
//!
//! Owns the connection, the streams, publishing and reading. Must never decide what an event means, and
//! never acknowledge: the position of a reader lives in Postgres.

mod append;
mod consumer;
mod fetch;
mod publish;
mod reader;
mod server;
mod shape;
mod shown;
mod streams;
mod trim;
mod waiting;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{ConnectOptions, Event, jetstream};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;
use tracing::{debug, info, warn};

pub use append::{Appended, End};
pub use fetch::{Stored, Which};
pub use publish::{Delivery, PublishError, Unstored};
pub use reader::{Message, ReadError, Reader};
pub use shape::Limits;
pub use streams::{APP_EVENTS, AUTH0_LOGS, ROLE_CHANGES, STREAMS, StreamState};
pub use trim::Room;
pub use waiting::{From, Waiting};

/// Longest wait for one answer of JetStream.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay between two attempts to connect; short, because a cluster's next server may answer at once.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);
/// Publishes in flight at once. The client waits for ever past that, so `publish` stays well below.
const MAX_ACKS_IN_FLIGHT: usize = 4_000;

/// A connection to NATS that mends itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
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
    /// Connects in the background: returns at once, keeps trying for ever, reconnects by itself.
    ///
    /// # Errors
    /// Settings that cannot work, such as a credentials file that is not there.
    pub async fn connect(
        url: &SecretString,
        credentials: Option<&std::path::Path>,
    ) -> Result<Self, BusError> {
        let (disconnected, disconnects) = watch::channel(0);
        // The client asks for a delay before its very first attempt too, where there is nothing to wait for.
        let tried = AtomicBool::new(false);
        let mut options = ConnectOptions::new()
            .name("rolekeeper")
            .retry_on_initial_connect()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(move |_| {
                if tried.swap(true, Ordering::Relaxed) {
                    RECONNECT_DELAY
                } else {
                    Duration::ZERO
                }
            })
            .event_callback(move |event| {
                report(&event);
                if event == Event::Disconnected {
                    disconnected.send_modify(|count| *count += 1);
                }
                std::future::ready(())
            });
        if let Some(path) = credentials {
            options = options.credentials_file(path).await.map_err(|error| {
                BusError::Settings(format!("NATS_CREDENTIALS_FILE {}: {error}", path.display()))
            })?;
        }
        let servers: Vec<&str> = url.expose_secret().split(',').map(str::trim).collect();
        let client = options
            .connect(servers)
            .await
            .map_err(|error| BusError::Settings(error.to_string()))?;
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(MAX_ACKS_IN_FLIGHT)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            bulk: publish::Bulk::default(),
            disconnects,
        })
    }

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

fn report(event: &Event) {
    match event {
        Event::Connected => info!(dependency = "nats", "connected to NATS"),
        Event::Disconnected => warn!(dependency = "nats", "connection to NATS lost, reconnecting"),
        Event::SlowConsumer(_) => {
            warn!("NATS messages were dropped before they were read; they will be read again");
        }
        // One line an attempt: who waits for the bus says so once a minute instead.
        other => debug!(dependency = "nats", "{other}"),
    }
}
