//! Everything in its order.
//!
//! Owns the sizes, the rounds and their alternation: drain, upsert, pipe, and again, so that a noisy minute of the machine
//! hits all of them. Must never leave out a round.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use rolekeeper::sandbox::servers::{Nats, Postgres};
use rolekeeper::sandbox::worker;

use crate::stream::Filled;
use crate::table::Table;
use crate::{database, horizon, limits, pipe};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
pub(crate) const TEMPLATE: &str = "seeded";

/// The sizes. The defaults are what the goals are about; smaller ones serve to work on the bench itself.
#[derive(Debug, Parser)]
pub(crate) struct Sizes {
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Rounds of each contender
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Events in the stream
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Playlists there are
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) playlists: u32,
    /// Most events in one transaction, of the pipe and of both limits
    #[arg(long, default_value_t = 10_000)]
    pub(crate) batch: usize,
}

/// Events a second of each contender, by round.
#[derive(Debug, Default)]
struct Rounds {
    drain: Vec<f64>,
    upsert: Vec<f64>,
    pipe: Vec<f64>,
    share: Vec<f64>,
    peak_mib: Vec<f64>,
}

/// Measures everything and prints the table.
pub(crate) async fn all(sizes: Sizes) -> Result<ExitCode> {
    anyhow::ensure!(
        sizes.rounds > 0 && sizes.events > 0 && sizes.playlists > 0 && sizes.batch > 0,
        "at least one of each"
    );
    let began = Instant::now();
    let say = |what: &str| eprintln!("[{:>4} s] {what}", began.elapsed().as_secs());
    say("starting Postgres and nats-server");
    let postgres = database::server().await?;
    let nats = Nats::start().await?;
    say(&format!("{} playlists, {} events", sizes.playlists, sizes.events));
    let filled = prepare(&postgres, &nats, &sizes).await?;
    let counts = filled.counts();
    let events = sizes.events as f64;
    let mut rounds = Rounds::default();
    for round in 1..=sizes.rounds {
        let drain = events / limits::drain(&filled, sizes.batch).await?.as_secs_f64();
        let url = database::copy(&postgres, TEMPLATE, "upsert").await?;
        let upsert = events / limits::upsert(&url, &filled, sizes.batch).await?.as_secs_f64();
        database::is_exact(&url, sizes.playlists, &counts).await?;
        database::drop_it(&postgres, "upsert").await?;
        let url = database::copy(&postgres, TEMPLATE, "pipe").await?;
        let drained = pipe::drain(&url, &nats.url(), sizes.batch, sizes.events).await?;
        database::is_exact(&url, sizes.playlists, &counts).await?;
        database::drop_it(&postgres, "pipe").await?;
        let pipe = events / drained.took.as_secs_f64();
        let share = pipe / drain.min(upsert);
        say(&format!(
            "round {round}: drain {drain:.0}/s, upsert {upsert:.0}/s, pipe {pipe:.0}/s ({share:.2}), {:.1} MiB",
            drained.peak_mib
        ));
        rounds.drain.push(drain);
        rounds.upsert.push(upsert);
        rounds.pipe.push(pipe);
        rounds.share.push(share);
        rounds.peak_mib.push(drained.peak_mib);
    }
    let mut table = Table::default();
    table.row("bare drain, events/s", None, &rounds.drain);
    table.row("bare upsert, events/s", None, &rounds.upsert);
    table.row("pipe, events/s", None, &rounds.pipe);
    table.row("pipe over the smaller limit", Some(0.7), &rounds.share);
    table.row("worker's peak memory, MiB", None, &rounds.peak_mib);
    horizon::measure(&mut table, &postgres, &nats, &filled, &sizes).await?;
    println!("{}\n{table}", heading(&sizes));
    println!("Took {} s.", began.elapsed().as_secs());
    Ok(if table.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The database all runs copy, and the stream all runs read.
async fn prepare(postgres: &Postgres, nats: &Nats, sizes: &Sizes) -> Result<Filled> {
    let url = postgres.create_database(TEMPLATE).await?;
    let settings = [("DATABASE_URL", url.clone()), ("NATS_URL", nats.url())];
    worker::migrate(Path::new(PROGRAM), &settings).await?;
    database::seed(&url, sizes.playlists).await?;
    Filled::publish(&nats.url(), sizes.events, sizes.playlists).await
}

fn heading(sizes: &Sizes) -> String {
    format!(
        "\n{} events about {} playlists, a few of them played most; at most {} events a transaction. nats-server, Postgres, \
         the worker and the\nbench share the machine. Medians of {} rounds, smallest and largest behind. After each run all \
         counts were compared with a count of\nthe bench's own.\n",
        sizes.events, sizes.playlists, sizes.batch, sizes.rounds,
    )
}
