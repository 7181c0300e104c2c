//! Everything in its order.
//!
//! Owns the sizes and which parts are measured. Must never leave out a round.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use rolekeeper_sandbox::servers::{Nats, Postgres};

use crate::stream::Filled;
use crate::table::Table;
use crate::{
    baseline, database, growth, horizon, instructions, latency, memory, peers, postgres, share, start,
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
pub(crate) const TEMPLATE: &str = "seeded";

/// The sizes. The defaults are what the goals are about; smaller ones serve to work on the bench itself.
#[derive(Debug, Parser)]
pub(crate) struct Sizes {
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Rounds of each contender
    #[arg(
        long,
        default_value_t = 5,
        default_value_if("baseline", clap::builder::ArgPredicate::IsPresent, "7")
    )]
    pub(crate) rounds: usize,
    /// Events in the stream
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: u64,
    /// Playlists there are
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) playlists: u32,
    /// Most events in one transaction, of the pipe and of both limits
    #[arg(long, default_value_t = 10_000)]
    pub(crate) batch: usize,
    /// How long each of the other designs counts, in seconds
    #[arg(long, default_value_t = 30)]
    pub(crate) peer_seconds: u64,
    /// Playlists of each contender in growth; memory is measured with the most
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000, 5_000_000])]
    pub(crate) growth: Vec<u32>,
    /// Events that wait when memory is measured
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000, 10_000_000])]
    pub(crate) backlogs: Vec<u64>,
    /// Seconds for which the worker is watched at rest
    #[arg(long, default_value_t = 15)]
    pub(crate) idle_seconds: u64,
    /// Measure the worker beside this one instead: another binary of rolekeeper
    #[arg(long, value_name = "BINARY", conflicts_with = "only")]
    baseline: Option<PathBuf>,
    /// The parts to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
}

/// What is measured, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The pipe beside what bus and database can do alone
    Share,
    /// What remembering event ids costs
    Horizon,
    /// The pipe beside what a team would write instead
    Peers,
    /// What an event costs when there are more playlists
    Growth,
    /// The worker's memory far behind
    Memory,
    /// How soon the worker is at work, and what it takes at rest
    Start,
    /// How soon a play is counted, and the play that crosses the line has its role at the tenant
    Latency,
    /// What parsing and summing up an event takes, whatever else the machine does
    Instructions,
}

/// What all parts share: the servers, a database to copy and a stream to read.
pub(crate) struct Ground {
    pub(crate) postgres: Postgres,
    pub(crate) nats: Nats,
    pub(crate) filled: Filled,
    pub(crate) sizes: Sizes,
    began: Instant,
}

impl Ground {
    async fn prepare(sizes: Sizes) -> Result<Self> {
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

    /// A line of progress, with the time since the start.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("[{:>4} s] {what}", self.began.elapsed().as_secs());
    }
}

/// Measures everything and prints the table.
pub(crate) async fn all(sizes: Sizes) -> Result<ExitCode> {
    anyhow::ensure!(
        sizes.rounds > 0
            && sizes.events > 0
            && sizes.playlists > 0
            && sizes.batch > 0
            && sizes.idle_seconds > 0,
        "at least one of each"
    );
    if sizes.baseline.is_none() && sizes.only.contains(&Part::Instructions) {
        instructions::can_count().await?;
    }
    let ground = Ground::prepare(sizes).await?;
    let mut table = Table::default();
    if let Some(binary) = &ground.sizes.baseline {
        baseline::measure(&mut table, &ground, binary).await?;
    } else {
        parts(&mut table, &ground).await?;
    }
    println!("{}\n{table}", heading(&ground.sizes));
    println!("Took {} s.", ground.began.elapsed().as_secs());
    Ok(if table.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn parts(table: &mut Table, ground: &Ground) -> Result<()> {
    for part in Part::value_variants() {
        if !ground.sizes.only.contains(part) {
            continue;
        }
        match part {
            Part::Share => share::measure(table, ground).await?,
            Part::Horizon => horizon::measure(table, ground).await?,
            Part::Peers => peers::measure(table, ground).await?,
            Part::Growth => growth::measure(table, ground).await?,
            Part::Memory => memory::measure(table, ground).await?,
            Part::Start => start::measure(table, ground).await?,
            Part::Latency => latency::measure(table, ground).await?,
            Part::Instructions => instructions::measure(table, ground).await?,
        }
    }
    Ok(())
}

fn heading(sizes: &Sizes) -> String {
    format!(
        "\n{} events about {} playlists, a few of them played most; at most {} events a transaction. nats-server, Postgres, \
         the worker and the\nbench share the machine. Medians of {} rounds, smallest and largest behind. After each run all \
         counts were compared with a count of\nthe bench's own.\n",
        sizes.events, sizes.playlists, sizes.batch, sizes.rounds,
    )
}
