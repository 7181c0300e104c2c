//! The pipe and its two limits: drain, upsert, pipe, in turns, so that a noisy minute of the host affects all of them.
//!
//! Owns the share of the smaller limit that the pipe reaches, and its memory.

use anyhow::Result;

use crate::ground::Ground;
use crate::program::TEMPLATE;
use crate::table::{Goal, Table};
use crate::{database, limits, pipe};

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let (mut drains, mut upserts, mut pipes, mut shares, mut peaks) =
        (vec![], vec![], vec![], vec![], vec![]);
    let (postgres, filled, sizes) = (&ground.postgres, &ground.filled, &ground.sizes);
    let counts = filled.counts();
    let events = filled.events as f64;
    for round in 1..=sizes.rounds {
        let drain = events / limits::drain(filled, sizes.batch).await?.as_secs_f64();
        let url = database::copy_without_keys(postgres, TEMPLATE, "upsert").await?;
        let upsert = events / limits::upsert(&url, filled, sizes.batch).await?.as_secs_f64();
        database::is_exact(&url, sizes.playlists, &counts).await?;
        database::drop_it(postgres, "upsert").await?;
        let url = database::copy(postgres, TEMPLATE, "pipe").await?;
        let drained = pipe::drain(&url, &ground.nats.url(), sizes.batch, filled.events).await?;
        database::is_exact(&url, sizes.playlists, &counts).await?;
        database::drop_it(postgres, "pipe").await?;
        let pipe = events / drained.took.as_secs_f64();
        let share = pipe / drain.min(upsert);
        ground.say(&format!(
            "round {round}: drain {drain:.0}/s, upsert {upsert:.0}/s, pipe {pipe:.0}/s ({share:.2}), {:.1} MiB",
            drained.peak_mib
        ));
        drains.push(drain);
        upserts.push(upsert);
        pipes.push(pipe);
        shares.push(share);
        peaks.push(drained.peak_mib);
    }
    table.row("bare drain, events/s", None, &drains);
    table.row("bare upsert, events/s", None, &upserts);
    table.row("pipe, events/s", None, &pipes);
    table.row("pipe over the smaller limit", Some(Goal::AtLeast(0.7)), &shares);
    table.row("worker's peak memory, MiB", Some(Goal::AtMost(48.0)), &peaks);
    Ok(())
}
