//! The worker's memory with a large backlog, which it drains into the largest database.
//!
//! Owns the worker's peak memory, as the kernel reports it. Each backlog has one run: ten million events take minutes to
//! publish and to drain, and the peak is reached in the first second.

use anyhow::{Context as _, Result};

use crate::field::Field;
use crate::ground::Ground;
use crate::table::{Goal, Table};

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let playlists = ground.sizes.growth.iter().copied().max();
    let playlists = playlists.context("--growth: at least one size")?;
    let mut backlogs = ground.sizes.backlogs.clone();
    backlogs.sort_unstable();
    let most = backlogs.last().copied();
    let mut field = Field::prepare(ground, playlists, 0).await?;
    for backlog in backlogs {
        let more = backlog - field.filled.events;
        field.filled.more(more).await?;
        ground.say(&format!("{more} events more"));
        let worker = field.run(ground).await?.worker;
        let took = worker.took.as_secs_f64();
        ground.say(&format!(
            "{backlog} events behind: {:.1} MiB; drained in {took:.1} s, {:.0}/s",
            worker.peak_mib,
            backlog as f64 / took
        ));
        let goal = (most == Some(backlog)).then_some(Goal::AtMost(48.0));
        let row = format!("peak memory, {backlog} behind, {playlists} playlists, MiB");
        table.row(&row, goal, &[worker.peak_mib]);
    }
    Ok(())
}
