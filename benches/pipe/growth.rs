//! The cost of an event with more playlists: the same number of events about few and about many playlists, in turns.
//!
//! Owns the ratio of the largest to the smallest, of time and of CPU.

use anyhow::Result;

use crate::field::{Field, Taken};
use crate::ground::Ground;
use crate::table::{Goal, Table};

const MICROSECONDS: f64 = 1e6;

/// Cost of an event, in microseconds, one figure per round.
#[derive(Default)]
struct Cost {
    time: Vec<f64>,
    cpu: Vec<f64>,
}

/// Adds the rows to the table.
pub(crate) async fn measure(table: &mut Table, ground: &Ground) -> Result<()> {
    let mut fields = vec![];
    for playlists in &ground.sizes.growth {
        let field = Field::prepare(ground, *playlists, ground.sizes.events).await?;
        fields.push((field, Cost::default()));
    }
    for round in 1..=ground.sizes.rounds {
        for (field, cost) in &mut fields {
            let taken = field.run(ground).await?;
            ground.say(&format!("round {round}, {}", told(field, &taken)));
            let events = field.filled.events as f64;
            cost.time
                .push(taken.worker.took.as_secs_f64() * MICROSECONDS / events);
            cost.cpu.push(taken.cpu() * MICROSECONDS / events);
        }
    }
    for (field, cost) in &fields {
        let row = |what| format!("{} playlists: {what} of an event, µs", field.playlists);
        table.row(&row("time"), None, &cost.time);
        table.row(&row("CPU"), None, &cost.cpu);
    }
    if let [(least, few), .., (most, many)] = fields.as_slice() {
        let row = |what| format!("{what} at {} over that at {}", most.playlists, least.playlists);
        let goal = Some(Goal::AtMost(1.5));
        table.row(&row("time"), goal, &ratios(&many.time, &few.time));
        table.row(&row("CPU"), goal, &ratios(&many.cpu, &few.cpu));
    }
    Ok(())
}

fn told(field: &Field, taken: &Taken) -> String {
    let each = MICROSECONDS / field.filled.events as f64;
    format!(
        "{} playlists: {:.2} µs an event; CPU {:.2} µs: worker {:.2}, nats-server {:.2}, Postgres {:.2}; {:.1} MiB",
        field.playlists,
        taken.worker.took.as_secs_f64() * each,
        taken.cpu() * each,
        taken.worker.cpu * each,
        taken.nats_cpu * each,
        taken.postgres_cpu * each,
        taken.worker.peak_mib,
    )
}

/// Runs the sizes in turns, so that a noisy minute affects all.
fn ratios(these: &[f64], those: &[f64]) -> Vec<f64> {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}
