//! The cost of open consoles: the pipe and the latency with ten of them and with none, in turns.
//!
//! Owns the ratios, above 1 where the open consoles cost nothing.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::browsers::Browsers;
use crate::ground::Ground;
use crate::latency_world::World;
use crate::program::{PROGRAM, TEMPLATE};
use crate::table::{Goal, Table};
use crate::{database, pipe};

/// Open consoles.
const CONSOLES: usize = 10;
const NAME: &str = "consoles";
const GOAL: Goal = Goal::AtLeast(0.9);

/// Figures with and without open consoles, one per round.
#[derive(Default)]
struct Figures {
    speed: Vec<f64>,
    counted: Vec<f64>,
    changed: Vec<f64>,
}

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let mut world = World::start(ground, Path::new(PROGRAM), TEMPLATE, "watched").await?;
    let (mut none, mut ten) = (Figures::default(), Figures::default());
    for round in 1..=ground.sizes.rounds {
        let mut turns = [(0, &mut none), (CONSOLES, &mut ten)];
        if round % 2 == 0 {
            turns.reverse();
        }
        for (consoles, figures) in turns {
            figures.speed.push(drain(ground, consoles).await?);
            let ops = world
                .worker
                .address("OPS_LISTEN")
                .context("the worker does not listen")?;
            let browsers = Browsers::open(&ops, consoles).await?;
            let played = world.round().await?;
            browsers.close().await?;
            world.is_exact(ground.sizes.playlists).await?;
            ground.say(&format!(
                "round {round}, {consoles} consoles: {:.0}/s; ms at p50/p99: counted {}, role {}",
                figures.speed.last().copied().unwrap_or_default(),
                played.counted.told(),
                played.changed.told()
            ));
            figures.counted.push(played.counted.within(500));
            figures.changed.push(played.changed.within(500));
        }
    }
    world.stop(ground).await?;
    rows(table, &none, &ten);
    Ok(())
}

/// Drains the stream with this number of open consoles; returns events a second.
async fn drain(ground: &Ground, consoles: usize) -> Result<f64> {
    let (postgres, filled, sizes) = (&ground.postgres, &ground.filled, &ground.sizes);
    let url = database::copy(postgres, TEMPLATE, NAME).await?;
    let nats = ground.nats.url();
    let drained = pipe::drain_watched(&url, &nats, sizes.batch, filled.events, consoles).await?;
    database::is_exact(&url, sizes.playlists, &filled.counts()).await?;
    database::drop_it(postgres, NAME).await?;
    Ok(filled.events as f64 / drained.took.as_secs_f64())
}

fn rows(table: &mut Table, none: &Figures, ten: &Figures) {
    let mut row = |what: &str, ten: &[f64], none: &[f64]| {
        let ratios: Vec<f64> = ten.iter().zip(none).map(|(ten, none)| ten / none).collect();
        table.row(
            &format!("ten open consoles over none: {what}"),
            Some(GOAL),
            &ratios,
        );
    };
    row("events/s", &ten.speed, &none.speed);
    // Of times the smaller is better.
    row("1 / publish to counted, p50", &none.counted, &ten.counted);
    row("1 / play to role, p50", &none.changed, &ten.changed);
}
