//! A history of plays for `rolekeeper simulate`: each playlist has an owner, and a few playlists have most plays.
//!
//! Owns the comparison of the result with an independent count.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use async_nats::jetstream;
use serde_json::Value;

use crate::commands::{self, Done};
use crate::stream::{Filled, playlist_id};
use crate::world::World;

/// Threshold of the proposed rules.
const GRANT_AT: i64 = 50;
/// Most publishes in flight.
const IN_FLIGHT: usize = 1_000;

/// A folded history.
pub(crate) struct History {
    world: World,
    /// Owners whose playlist reaches the threshold.
    reach: usize,
}

impl History {
    /// Publishes `plays` of `playlists`, each saved first, and lets them be folded.
    pub(crate) async fn prepare(plays: u64, playlists: u32) -> Result<Self> {
        let world = World::start().await?;
        save(&world.nats.url(), playlists).await?;
        let filled = Filled::publish(&world.nats.url(), plays, playlists).await?;
        world.folded(u64::from(playlists) + plays).await?;
        let counts = filled.counts();
        let reach = counts.values().filter(|plays| **plays >= GRANT_AT).count();
        Ok(Self { world, reach })
    }

    /// Simulates all of it.
    pub(crate) async fn simulate(&self) -> Result<Done> {
        let rules = self.world.rules(GRANT_AT)?;
        let done = commands::run(&["simulate", "--rules", &rules, "--json"], &self.world.settings).await?;
        let result: Value = serde_json::from_slice(&done.output)?;
        let users = result["users"].as_array().context("no list of users")?;
        anyhow::ensure!(
            users.len() == self.reach,
            "{} users cross the threshold, and {} playlists reach it",
            users.len(),
            self.reach
        );
        Ok(done)
    }
}

/// Publishes an owner for each playlist.
async fn save(url: &str, playlists: u32) -> Result<()> {
    let jetstream = jetstream::new(async_nats::connect(url).await.context("cannot reach NATS")?);
    let mut acks = VecDeque::with_capacity(IN_FLIGHT);
    for number in 0..playlists {
        let id = playlist_id(number);
        let body = format!(
            "{{\"type\":\"playlist_saved\",\"event_id\":\"saved_{number}\",\"playlist_id\":\"{id}\",\
             \"owner_id\":\"auth0|{number:024}\",\"name\":\"Road trip\"}}"
        );
        if acks.len() == IN_FLIGHT
            && let Some(oldest) = acks.pop_front()
        {
            oldest.await?;
        }
        acks.push_back(jetstream.publish(format!("playlists.{id}"), body.into()).await?);
    }
    for ack in acks {
        ack.await?;
    }
    Ok(())
}
