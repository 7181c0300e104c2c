//! The sizes of the measurement, and the selection of parts.
//!
//! Owns the flags and the order of the parts.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

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
    pub(crate) baseline: Option<PathBuf>,
    /// The parts to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    pub(crate) only: Vec<Part>,
}

/// The parts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The pipe, compared with NATS and database alone
    Share,
    /// The cost of the dedup of event ids
    Dedup,
    /// The pipe, compared with simple programs for the same task
    Peers,
    /// The cost of an event with more playlists
    Growth,
    /// The worker's memory with a large backlog
    Memory,
    /// The time of a start, and the resources of the idle worker
    Start,
    /// The pipe and the latency with ten open consoles, compared with none
    Consoles,
    /// The latency from a play to its count, and to the role at the tenant when it crosses the threshold
    Latency,
    /// The instructions to parse and sum up an event, independent of other load on the host
    Instructions,
}
