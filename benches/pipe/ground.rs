//! The state that all parts share.
//!
//! Owns the servers, the template database and the filled stream, and their start.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use rolekeeper_sandbox::servers::{Nats, Postgres};

use crate::program::{PROGRAM, TEMPLATE};
use crate::sizes::Sizes;
use crate::stream::Filled;
use crate::{database, postgres};

/// State that all parts share: the servers, a template database and a stream.
pub(crate) struct Ground {
    pub(crate) postgres: Postgres,
    pub(crate) nats: Nats,
    pub(crate) filled: Filled,
    pub(crate) sizes: Sizes,
    pub(crate) began: Instant,
}

impl Ground {
    pub(crate) async fn prepare(sizes: Sizes) -> Result<Self> {
        let began = Instant::now();
        let postgres = postgres::server().await?;
        let nats = Nats::start().await?;
        database::make(Path::new(PROGRAM), &postgres, &nats, TEMPLATE, sizes.playlists).await?;
        let filled = Filled::publish(&nats.url(), sizes.events, sizes.playlists).await?;
        let ground = Self {
            postgres,
            nats,
            filled,
            sizes,
            began,
        };
        ground.say(&format!(
            "{} playlists, {} events",
            ground.sizes.playlists, ground.sizes.events
        ));
        Ok(ground)
    }

    /// Prints a line of progress, with the time since the start.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("[{:>4} s] {what}", self.began.elapsed().as_secs());
    }
}
