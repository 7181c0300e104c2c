//! The run of all parts.
//!
//! Owns the sizes and the selection of parts. Must never omit a round.

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

/// Sizes of the measurement. The goals hold for the defaults; smaller sizes serve the development of the bench.
#[derive(Debug, Parser)]
pub(crate) struct Sizes {
    /// Passed by cargo
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
    /// Playlists in the database
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) playlists: u32,
    /// Most events in one transaction, of the pipe and of both limits
    #[arg(long, default_value_t = 10_000)]
    pub(crate) batch: usize,
    /// Seconds for which each peer runs
    #[arg(long, default_value_t = 30)]
    pub(crate) peer_seconds: u64,
    /// Playlists of each contender in growth; memory is measured with the most
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000, 5_000_000])]
    pub(crate) growth: Vec<u32>,
    /// Backlogs, in events, for the measurement of memory
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000, 10_000_000])]
    pub(crate) backlogs: Vec<u64>,
    /// Seconds for which the idle worker is measured
    #[arg(long, default_value_t = 15)]
    pub(crate) idle_seconds: u64,
    /// Compare the worker with this binary of rolekeeper instead
    #[arg(long, value_name = "BINARY", conflicts_with = "only")]
    baseline: Option<PathBuf>,
    /// The parts to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
}

/// The parts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The pipe, compared with NATS and database alone
    Share,
    /// The cost of the dedup of event ids
    Horizon,
    /// The pipe, compared with simple programs for the same task
    Peers,
    /// The cost of an event with more playlists
    Growth,
    /// The worker's memory with a large backlog
    Memory,
    /// The time of a start, and the resources of the idle worker
    Start,
    /// The latency from a play to its count, and to the role at the tenant when it crosses the threshold
    Latency,
    /// The instructions to parse and sum up an event, independent of other load on the host
    Instructions,
}

/// State that all parts share: the servers, a template database and a stream.
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

    /// Prints a line of progress, with the time since the start.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("[{:>4} s] {what}", self.began.elapsed().as_secs());
    }
}

/// Measures all parts and prints the table.
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
