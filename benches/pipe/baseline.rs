//! Comparison of the worker with another binary of it, in turns: one run, one host, the same events.
//!
//! Owns the ratios, above 1 where the worker is better. Each side has a database that its own binary migrated, a stream, and
//! a world for latency; the side that begins alternates from round to round.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rolekeeper_sandbox::servers::Nats;

use crate::ground::Ground;
use crate::latency_world::World;
use crate::program::{PROGRAM, TEMPLATE};
use crate::stream::Filled;
use crate::table::{Goal, Table};
use crate::times::Times;
use crate::{database, pipe};

const NAME: &str = "side";
const BASELINE: &str = "seeded_baseline";
/// Smallest median of new over old; for figures that should be small, of old over new.
const GOAL: Goal = Goal::AtLeast(0.95);

/// One side, and its figures, one per round.
struct Side<'a> {
    name: &'static str,
    program: PathBuf,
    template: &'static str,
    nats: &'a Nats,
    filled: &'a Filled,
    world: World,
    pipe: Vec<f64>,
    peak: Vec<f64>,
    counted: Percentiles,
    changed: Percentiles,
}

/// Figures of one kind of time, one per round, in milliseconds.
#[derive(Default)]
struct Percentiles {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Percentiles {
    fn push(&mut self, times: &Times) {
        self.p50.push(times.within(500));
        self.p99.push(times.p99());
    }
}

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground, binary: &Path) -> Result<()> {
    let (postgres, sizes) = (&ground.postgres, &ground.sizes);
    let nats = Nats::start().await?;
    database::make(binary, postgres, &nats, BASELINE, sizes.playlists).await?;
    let filled = Filled::publish(&nats.url(), sizes.events, sizes.playlists).await?;
    let mut new = Side::new(
        ground,
        "new",
        Path::new(PROGRAM),
        TEMPLATE,
        &ground.nats,
        &ground.filled,
    )
    .await?;
    let mut old = Side::new(ground, "baseline", binary, BASELINE, &nats, &filled).await?;
    for round in 1..=sizes.rounds {
        let mut turns = [&mut new, &mut old];
        if round % 2 == 0 {
            turns.reverse();
        }
        for side in &mut turns {
            side.drain(ground, round).await?;
        }
        for side in &mut turns {
            side.play(ground, round).await?;
        }
    }
    rows(table, &new, &old);
    new.world.stop(ground).await?;
    old.world.stop(ground).await
}

impl<'a> Side<'a> {
    async fn new(
        ground: &Ground,
        name: &'static str,
        program: &Path,
        template: &'static str,
        nats: &'a Nats,
        filled: &'a Filled,
    ) -> Result<Self> {
        Ok(Self {
            name,
            program: program.to_owned(),
            template,
            nats,
            filled,
            world: World::start(ground, program, template, name).await?,
            pipe: vec![],
            peak: vec![],
            counted: Percentiles::default(),
            changed: Percentiles::default(),
        })
    }

    /// Drains all messages in the stream, into a copy of the database.
    async fn drain(&mut self, ground: &Ground, round: usize) -> Result<()> {
        let (postgres, batch, events) = (&ground.postgres, ground.sizes.batch, self.filled.events);
        let url = database::copy(postgres, self.template, NAME).await?;
        let drained = pipe::drain_with(&self.program, &url, &self.nats.url(), batch, events, "off").await?;
        database::is_exact(&url, ground.sizes.playlists, &self.filled.counts()).await?;
        database::drop_it(postgres, NAME).await?;
        let speed = events as f64 / drained.took.as_secs_f64();
        ground.say(&format!(
            "round {round}, {}: {speed:.0}/s, {:.1} MiB",
            self.name, drained.peak_mib
        ));
        self.pipe.push(speed);
        self.peak.push(drained.peak_mib);
        Ok(())
    }

    /// Runs a round of plays at a steady pace, in which some users cross the threshold.
    async fn play(&mut self, ground: &Ground, round: usize) -> Result<()> {
        let played = self.world.round().await?;
        self.world.is_exact(ground.sizes.playlists).await?;
        ground.say(&format!(
            "round {round}, {}, ms at p50/p99: counted {}, role {}",
            self.name,
            played.counted.told(),
            played.changed.told()
        ));
        self.counted.push(&played.counted);
        self.changed.push(&played.changed);
        Ok(())
    }
}

fn rows(table: &mut Table, new: &Side<'_>, old: &Side<'_>) {
    let mut rows = |what: &str, smaller_is_better: bool, (new, old): (&[f64], &[f64])| {
        table.row(what, None, new);
        table.row(&format!("{what}, baseline"), None, old);
        let ratio = |(new, old): (&f64, &f64)| if smaller_is_better { old / new } else { new / old };
        let ratios: Vec<f64> = new.iter().zip(old).map(ratio).collect();
        table.row(&format!("{what}, ratio"), Some(GOAL), &ratios);
    };
    rows("pipe, events/s", false, (&new.pipe, &old.pipe));
    rows(
        "publish to counted, p50, ms",
        true,
        (&new.counted.p50, &old.counted.p50),
    );
    rows(
        "publish to counted, p99, ms",
        true,
        (&new.counted.p99, &old.counted.p99),
    );
    rows(
        "play to role, p50, ms",
        true,
        (&new.changed.p50, &old.changed.p50),
    );
    rows(
        "play to role, p99, ms",
        true,
        (&new.changed.p99, &old.changed.p99),
    );
    rows("worker's peak memory, MiB", true, (&new.peak, &old.peak));
}
