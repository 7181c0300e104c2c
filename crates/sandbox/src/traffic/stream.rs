//! Reads what the streams hold, beside the worker.
//!
//! Owns a reader that takes a stream as it is, from its first message to its last. Must never write to one.

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
/// The tenant's log.
pub const AUTH0_LOGS: &str = "AUTH0_LOGS";
/// Longest wait for a message that is there.
const NEXT_WITHIN: Duration = Duration::from_secs(10);

/// A reader of streams.
#[derive(Clone, Debug)]
pub struct Streams {
    jetstream: Context,
}

/// One message as it lies in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence.
    pub seq: u64,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Streams {
    /// Reads over a connection that there is.
    #[must_use]
    pub fn new(jetstream: Context) -> Self {
        Self { jetstream }
    }

    /// Connects to NATS.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = async_nats::connect(url).await.context("cannot reach NATS")?;
        Ok(Self::new(jetstream::new(client)))
    }

    /// Sequence of the newest message; 0 when there is none.
    pub async fn last_seq(&self, name: &str) -> anyhow::Result<u64> {
        Ok(self.stream(name).await?.cached_info().state.last_sequence)
    }

    /// When the stream stored each of these messages.
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

    /// All messages.
    pub async fn read_all(&self, name: &str) -> anyhow::Result<Vec<Stored>> {
        let stream = self.stream(name).await?;
        let count = stream.cached_info().state.messages;
        let consumer = stream.create_consumer(OrderedConfig::default()).await?;
        let mut messages = consumer.messages().await?;
        let mut read = Vec::new();
        while (read.len() as u64) < count {
            let next = tokio::time::timeout(NEXT_WITHIN, messages.next()).await;
            let message = next
                .with_context(|| format!("{name}: only {} of {count} messages came", read.len()))?
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
        stream.with_context(|| format!("cannot look at the stream {name}"))
    }
}
