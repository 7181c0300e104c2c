//! How soon a play is counted, and how soon the play that crosses a line has its role at the tenant: all stages, 2,000
//! plays a second, two of them crossing.
//!
//! Owns the rounds, the percentiles and what they are held against: what the bus, the database and the tenant take alone,
//! measured between the rounds. Must never leave a sample out.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::latency_bare::{Bare, BareTimes};
use crate::latency_world::{Round, World};
use crate::run::{Ground, PROGRAM, TEMPLATE};
use crate::table::{Goal, Table};

/// Commits of a role change by the worker's own count: claim, decision, record.
const COMMITS_OF_A_CHANGE: f64 = 3.0;

/// Times of one kind, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1_000.0);
    }

    fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// The smallest time that so many of a thousand do not exceed; the largest where there are too few to tell.
    pub(crate) fn within(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * per_mille).div_ceil(1_000);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.within(990)
    }

    pub(crate) fn told(&self) -> String {
        format!("{:.2}/{:.2}", self.within(500), self.p99())
    }
}

/// Adds the rows to the table. Percentiles are of all rounds together: a round alone has too few changes of roles. What the
/// count is held against was taken in the same round, and there are enough of both: that ratio is one a round.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let mut world = World::start(ground, Path::new(PROGRAM), TEMPLATE, "latency").await?;
    let mut alone = Bare::prepare(ground, &world).await?;
    let (mut bare, mut counted, mut changed) = (BareTimes::default(), Times::default(), Times::default());
    let mut ratios = vec![];
    for round in 1..=ground.sizes.rounds {
        let before = alone.measure().await?;
        let Round {
            counted: now_counted,
            changed: now_changed,
            acked,
        } = world.round().await?;
        world.is_exact(ground.sizes.playlists).await?;
        ground.say(&format!(
            "round {round}, ms at p50/p99: bare publish {}, commit {}, GET {}, PATCH {}; under load publish {}, counted {}, \
             role {}",
            before.publish.told(),
            before.commit.told(),
            before.get.told(),
            before.patch.told(),
            acked.told(),
            now_counted.told(),
            now_changed.told(),
        ));
        ratios.push(now_counted.p99() / (before.publish.p99() + before.commit.p99()));
        bare.publish.extend(&before.publish);
        bare.commit.extend(&before.commit);
        bare.get.extend(&before.get);
        bare.patch.extend(&before.patch);
        counted.extend(&now_counted);
        changed.extend(&now_changed);
    }
    world.stop(ground).await?;
    rows(table, &bare, &counted, &changed, &ratios);
    Ok(())
}

fn rows(table: &mut Table, bare: &BareTimes, counted: &Times, changed: &Times, ratios: &[f64]) {
    let mut row = |what: &str, times: &Times| {
        for (name, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
            table.row(&format!("{what}, {name}, ms"), None, &[times.within(per_mille)]);
        }
    };
    row("bare publish with its ack", &bare.publish);
    row("bare commit of a row", &bare.commit);
    row("bare GET of a user", &bare.get);
    row("bare PATCH of a user", &bare.patch);
    row("publish to counted", counted);
    row("crossing play to role at the tenant", changed);
    let calls = bare.get.p99() + bare.patch.p99() + COMMITS_OF_A_CHANGE * bare.commit.p99();
    table.row(
        "publish to counted over bare publish and commit, p99",
        Some(Goal::AtMost(3.0)),
        ratios,
    );
    table.row(
        "play to role over two bare calls and three commits, p99",
        Some(Goal::AtMost(2.0)),
        &[changed.p99() / calls],
    );
}
