//! The run of all parts.
//!
//! Owns their list. Must never omit a round.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum as _;

use crate::ground::Ground;
use crate::sizes::{Part, Sizes};
use crate::table::Table;
use crate::{baseline, consoles, dedup, growth, instructions, latency, memory, peers, share, start};

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
            Part::Dedup => dedup::measure(table, ground).await?,
            Part::Peers => peers::measure(table, ground).await?,
            Part::Growth => growth::measure(table, ground).await?,
            Part::Memory => memory::measure(table, ground).await?,
            Part::Start => start::measure(table, ground).await?,
            Part::Consoles => consoles::measure(table, ground).await?,
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
