//! Reads the streams, separately from the worker.
//!
//! Owns a reader of a stream from its first message to its last. Must never write to a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use time::OffsetDateTime;

/// Plays and playlists.
pub const APP_EVENTS: &str = "APP_EVENTS";
/// Records of the tenant's log.
pub const AUTH0_LOGS: &str = "AUTH0_LOGS";
/// Longest wait for a stored message.
const NEXT_WITHIN: Duration = Duration::from_secs(10);

/// A reader of streams.
#[derive(Clone, Debug)]
pub struct Streams {
    jetstream: Context,
}

/// One stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence.
    pub seq: u64,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Streams {
    /// Returns a reader that uses an existing connection.
    #[must_use]
    pub fn new(jetstream: Context) -> Self {
        Self { jetstream }
    }

    /// Connects to NATS.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = async_nats::connect(url).await.context("cannot reach NATS")?;
        Ok(Self::new(jetstream::new(client)))
    }

    /// Returns the sequence of the newest message; 0 without one.
    pub async fn last_seq(&self, name: &str) -> anyhow::Result<u64> {
        Ok(self.stream(name).await?.cached_info().state.last_sequence)
    }

    /// Returns when the stream stored each of these messages.
    pub async fn stored_at(
        &self,
        name: &str,
        seqs: impl IntoIterator<Item = u64>,
    ) -> anyhow::Result<BTreeMap<u64, OffsetDateTime>> {
        let stream = self.stream(name).await?;
        let mut times = BTreeMap::new();
        for seq in seqs {
            let message = stream.get_raw_message(seq).await;
            times.insert(
                seq,
                message
                    .with_context(|| format!("{name} has no message {seq}"))?
                    .time,
            );
        }
        Ok(times)
    }

    /// Returns all messages.
    pub async fn read_all(&self, name: &str) -> anyhow::Result<Vec<Stored>> {
        let stream = self.stream(name).await?;
        let count = stream.cached_info().state.messages;
        let consumer = stream.create_consumer(OrderedConfig::default()).await?;
        let mut messages = consumer.messages().await?;
        let mut read = Vec::new();
        while (read.len() as u64) < count {
            let next = tokio::time::timeout(NEXT_WITHIN, messages.next()).await;
            let message = next
                .with_context(|| format!("{name}: only {} of {count} messages arrived", read.len()))?
                .with_context(|| format!("{name}: the reader was closed"))??;
            let seq = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
            read.push(Stored {
                seq,
                payload: message.payload.to_vec(),
            });
        }
        Ok(read)
    }

    async fn stream(&self, name: &str) -> anyhow::Result<Stream> {
        let stream = self.jetstream.get_stream(name).await;
        stream.with_context(|| format!("cannot read the state of the stream {name}"))
    }
}
