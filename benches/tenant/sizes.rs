//! The sizes of the measurement, from the command line.
//!
//! Owns their defaults, for which the goals hold. Must never measure.

use clap::Parser;

/// Sizes of the measurement. The goals hold for the defaults; smaller sizes serve the development of the bench.
#[derive(Debug, Parser)]
pub(crate) struct Sizes {
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Rounds of each contender
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Role changes per round
    #[arg(long, default_value_t = 1_000)]
    pub(crate) changes: usize,
    /// How often one user crosses the threshold up and down
    #[arg(long, default_value_t = 10_000)]
    pub(crate) flaps: usize,
    /// Factor by which the tenant's rate limit runs faster than in real time
    #[arg(long, default_value_t = 4)]
    pub(crate) clock_factor: u32,
    /// Role changes at a thousand calls a second
    #[arg(long, default_value_t = 20_000)]
    pub(crate) large_changes: usize,
    /// Users who cross the threshold at once, of whose drain two kills are a part
    #[arg(long, default_value_t = 100_000)]
    pub(crate) crossing: usize,
    /// Only one part
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// Parts of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The calls for one change each, and both contenders' drains
    Calls,
    /// A drain at a thousand calls a second
    Large,
    /// Many users who cross the threshold at once, and two kills
    Crossing,
    /// The plan `free`, most of which another client takes
    Free,
    /// HTTP/1.1 and HTTP/2
    Http,
}

impl Sizes {
    pub(crate) fn is_asked_for(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}
