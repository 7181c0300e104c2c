//! The cost of one kind of work at each size: CPU of worker, Postgres and nats-server, and time.
//!
//! Owns the figures of one kind, and the goal: almost the same cost at the largest size as at the smallest.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::table::{Goal, Table, median};

/// Difference, in milliseconds of CPU, below which a ratio does not mean growth.
const SMALL_MS: f64 = 50.0;

/// Figures of one kind at one size, one per round, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    cpu: Vec<f64>,
    time: Vec<f64>,
}

impl Cost {
    /// Adds the cost of `times` repetitions.
    pub(crate) fn push(&mut self, cpu_seconds: f64, took: Duration, times: u32) {
        self.cpu.push(cpu_seconds * 1_000.0 / f64::from(times));
        self.time.push(took.as_secs_f64() * 1_000.0 / f64::from(times));
    }
}

/// Adds rows: CPU and time at each size, and the goal of the CPU at the last size over that at the first.
pub(crate) fn rows(table: &mut Table, what: &str, costs: &[(u32, &Cost)]) -> Result<()> {
    for (users, cost) in costs {
        table.row(&format!("{what}, {users} users: CPU, ms"), None, &cost.cpu);
    }
    let (few, many) = (costs.first(), costs.last());
    let ((_, few), (_, many)) = few.zip(many).context("no size was measured")?;
    let pairs = || many.cpu.iter().zip(&few.cpu);
    let more: Vec<f64> = pairs().map(|(many, few)| many - few).collect();
    if median(&more) <= SMALL_MS {
        table.row(
            &format!("{what}: more CPU, ms"),
            Some(Goal::AtMost(SMALL_MS)),
            &more,
        );
    } else {
        let ratios: Vec<f64> = pairs().map(|(many, few)| many / few).collect();
        table.row(
            &format!("{what}: times the CPU"),
            Some(Goal::AtMost(1.5)),
            &ratios,
        );
    }
    time_rows(table, what, costs);
    Ok(())
}

/// Adds the rows of time only.
pub(crate) fn time_rows(table: &mut Table, what: &str, costs: &[(u32, &Cost)]) {
    for (users, cost) in costs {
        table.row(&format!("{what}, {users} users: time, ms"), None, &cost.time);
    }
}
