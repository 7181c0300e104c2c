//! Latency from a play to its count, and from a play that crosses the threshold to the role at the tenant: all stages, 2,000
//! plays a second, two of them crossing.
//!
//! Owns the rounds, the percentiles and their references: the times of NATS, database and tenant alone, measured between the
//! rounds. Must never omit a sample.

use std::path::Path;

use anyhow::Result;

use crate::ground::Ground;
use crate::latency_bare::{Bare, BareTimes};
use crate::latency_world::{Round, World};
use crate::program::{PROGRAM, TEMPLATE};
use crate::table::{Goal, Table};
use crate::times::Times;

/// Commits of the worker for a role change: claim, decision, record.
const COMMITS_OF_A_CHANGE: f64 = 3.0;

/// Adds the rows to the table. Percentiles are of all rounds together, since one round has too few role changes. The count
/// and its reference have enough samples in each round: that ratio is one per round.
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
