//! A database with a given number of playlists, and a stream about them on a separate nats-server.
//!
//! Owns one run on it: copy, drain, compare, drop. Must never return a figure of a run that counted wrong.

use std::path::Path;

use anyhow::{Context as _, Result};
use rolekeeper_sandbox::servers::Nats;
use rolekeeper_sandbox::worker;

use crate::ground::Ground;
use crate::pipe::{self, Drained};
use crate::program::PROGRAM;
use crate::stream::Filled;
use crate::{database, process};

/// Size of the stream, for more than ten million events; the default is for the events of a month.
const STREAM_MIB: u32 = 16_384;
const RUN: &str = "field";

/// A database and a stream for runs.
pub(crate) struct Field {
    pub(crate) playlists: u32,
    pub(crate) filled: Filled,
    nats: Nats,
    template: String,
}

/// The figures of a run.
pub(crate) struct Taken {
    pub(crate) worker: Drained,
    /// CPU time of each, in seconds.
    pub(crate) nats_cpu: f64,
    pub(crate) postgres_cpu: f64,
}

impl Taken {
    /// CPU time of all three.
    pub(crate) fn cpu(&self) -> f64 {
        self.worker.cpu + self.nats_cpu + self.postgres_cpu
    }
}

impl Field {
    pub(crate) async fn prepare(ground: &Ground, playlists: u32, events: u64) -> Result<Self> {
        let template = database::template(&ground.postgres, &ground.nats, playlists).await?;
        let nats = Nats::start().await?;
        let settings = [
            ("DATABASE_URL", ground.postgres.url(&template)),
            ("NATS_URL", nats.url()),
            ("APP_EVENTS_MAX_MIB", STREAM_MIB.to_string()),
        ];
        worker::migrate(Path::new(PROGRAM), &settings).await?;
        let filled = Filled::publish(&nats.url(), events, playlists).await?;
        ground.say(&format!("{playlists} playlists, {events} events"));
        Ok(Self {
            playlists,
            filled,
            nats,
            template,
        })
    }

    /// Lets the worker fold the whole stream into a copy of the database.
    pub(crate) async fn run(&self, ground: &Ground) -> Result<Taken> {
        let postgres = &ground.postgres;
        let url = database::copy(postgres, &self.template, RUN).await?;
        let (nats_cpu, postgres_cpu) = self.cpu(ground)?;
        let (nats, events) = (self.nats.url(), self.filled.events);
        let worker = pipe::drain(&url, &nats, ground.sizes.batch, events).await?;
        let (nats_after, postgres_after) = self.cpu(ground)?;
        database::is_exact(&url, self.playlists, &self.filled.counts()).await?;
        database::drop_it(postgres, RUN).await?;
        Ok(Taken {
            worker,
            nats_cpu: nats_after - nats_cpu,
            postgres_cpu: postgres_after - postgres_cpu,
        })
    }

    fn cpu(&self, ground: &Ground) -> Result<(f64, f64)> {
        let nats = self.nats.pid().context("nats-server does not run")?;
        let postgres = ground.postgres.pid().context("Postgres does not run")?;
        Ok((process::cpu(nats)?, process::cpu_with_children(postgres)?))
    }
}
