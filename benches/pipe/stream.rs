//! The stream that all contenders read: plays of playlists, of which a few are played most.
//!
//! Owns the playlist of each event, and the reference count. Events are those of `traffic::event`, so the contract's whole
//! payload is parsed.

use std::collections::{HashMap, VecDeque};

use anyhow::{Context as _, Result};
use async_nats::jetstream::{self, Context, stream};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Zipf};
use rolekeeper_sandbox::traffic::stream::APP_EVENTS;

/// Exponent of the distribution of plays: with 1, the second playlist is played half as often as the first, and so on.
pub(crate) const ZIPF: f64 = 1.07;
/// Most publishes in flight.
const IN_FLIGHT: usize = 1_000;

/// The content of the stream.
#[derive(Debug)]
pub(crate) struct Filled {
    jetstream: Context,
    /// Number of events, which is also the last sequence.
    pub(crate) events: u64,
    /// The playlist of each, by number, in order.
    pub(crate) of: Vec<u32>,
    played: Zipf<f64>,
    rng: StdRng,
}

/// Returns the id of a playlist by its number; the same as in [`crate::database`]. Ids are not in the order of popularity, as
/// real ids.
pub(crate) fn playlist_id(number: u32) -> String {
    let mixed = number.wrapping_mul(2_654_435_761).rotate_left(13) ^ 0x5bd1_e995;
    format!("pl_{mixed:08x}{number:010}")
}

impl Filled {
    /// Publishes `events` plays of `playlists` playlists.
    pub(crate) async fn publish(url: &str, events: u64, playlists: u32) -> Result<Self> {
        let client = async_nats::connect(url).await.context("cannot reach NATS")?;
        let jetstream = jetstream::new(client);
        let mut filled = Self {
            jetstream,
            events: 0,
            of: Vec::new(),
            played: Zipf::new(f64::from(playlists), ZIPF)?,
            rng: StdRng::seed_from_u64(7),
        };
        filled.more(events).await?;
        Ok(filled)
    }

    /// Publishes `events` more events.
    pub(crate) async fn more(&mut self, events: u64) -> Result<()> {
        let mut acks = VecDeque::with_capacity(IN_FLIGHT);
        for number in self.events..self.events + events {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the distribution returns whole numbers from 1 to playlists"
            )]
            let playlist = self.played.sample(&mut self.rng) as u32 - 1;
            self.of.push(playlist);
            let id = playlist_id(playlist);
            let body = format!(
                "{{\"type\":\"play\",\"event_id\":\"01JD9ZK4{number:018}\",\"playlist_id\":\"{id}\",\
                 \"listener_id\":\"auth0|65f1c0ffee{:010}\",\"song_id\":\"s_{:06}\",\
                 \"played_at\":\"2026-11-23T10:00:00.123Z\"}}",
                number * 7_919 % 1_000_003,
                number % 999_983,
            );
            if acks.len() == IN_FLIGHT
                && let Some(oldest) = acks.pop_front()
            {
                oldest.await?;
            }
            acks.push_back(self.jetstream.publish(format!("plays.{id}"), body.into()).await?);
        }
        for ack in acks {
            ack.await?;
        }
        self.events += events;
        Ok(())
    }

    /// Plays of each playlist, by number.
    pub(crate) fn counts(&self) -> HashMap<u32, i64> {
        self.counts_of_first(self.events)
    }

    /// Returns the plays of each playlist in the first `events` events.
    pub(crate) fn counts_of_first(&self, events: u64) -> HashMap<u32, i64> {
        let mut counts = HashMap::new();
        for (playlist, _) in self.of.iter().zip(0..events) {
            *counts.entry(*playlist).or_default() += 1;
        }
        counts
    }

    /// Returns the stream at the server.
    pub(crate) async fn stream(&self) -> Result<stream::Stream> {
        Ok(self.jetstream.get_stream(APP_EVENTS).await?)
    }
}
