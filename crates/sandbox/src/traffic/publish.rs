//! Sends app events to the stream, as an app server does.
//!
//! Owns that an event counts as sent only after the stream has acknowledged it.

use anyhow::Context as _;
use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{self, Context};

use super::event::Event;

/// An app server's connection.
#[derive(Clone, Debug)]
pub struct Publisher {
    jetstream: Context,
}

impl Publisher {
    /// Connects to NATS.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = async_nats::connect(url).await.context("cannot reach NATS")?;
        Ok(Self {
            jetstream: jetstream::new(client),
        })
    }

    /// Sends events in order and returns the sequence of each in the stream: for a duplicate, the sequence of the first.
    pub async fn send(&self, events: &[&Event]) -> anyhow::Result<Vec<u64>> {
        let mut acks = Vec::with_capacity(events.len());
        for event in events {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, event.id.as_str());
            let sent = self.jetstream.publish_with_headers(
                event.subject.clone(),
                headers,
                event.body.clone().into(),
            );
            acks.push(sent.await.context("cannot publish")?);
        }
        let mut seqs = Vec::with_capacity(acks.len());
        for ack in acks {
            seqs.push(ack.await.context("an event was not stored")?.sequence);
        }
        Ok(seqs)
    }
}
