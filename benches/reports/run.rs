//! The run of all commands.
//!
//! Owns the sizes, the rounds and the goals. Must never omit a round.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::commands;
use crate::history::History;
use crate::seed;
use crate::table::{Goal, Table};
use crate::world::World;

/// Goal of the 99th percentile of explanations.
const EXPLAINED_MS: f64 = 100.0;
/// Goal of a plan, for each 100,000 users.
const PLANNED_S: f64 = 3.0;
/// Goals of a simulation.
const SIMULATED_S: f64 = 60.0;
const SIMULATED_MIB: f64 = 64.0;
/// Threshold of the rules to plan: a quarter of the users of the seed would lose or gain a role.
const PLANNED_AT: i64 = 150;

/// Sizes of the measurement. The goals hold for the defaults; smaller sizes serve the development of the bench.
#[derive(Debug, Parser)]
pub(crate) struct Sizes {
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Users, each with a playlist, for explanations and plans
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    users: Vec<u32>,
    /// Explanations in a round, each of another user
    #[arg(long, default_value_t = 200)]
    explanations: u32,
    /// Plays of the simulated history; none omits it
    #[arg(long, default_value_t = 10_000_000)]
    plays: u64,
    /// Playlists of the simulated history
    #[arg(long, default_value_t = 100_000)]
    playlists: u32,
}

/// Measures all and prints the table.
pub(crate) async fn all(sizes: Sizes) -> Result<ExitCode> {
    anyhow::ensure!(sizes.rounds > 0 && sizes.explanations > 0, "at least one of each");
    let (began, mut table) = (Instant::now(), Table::default());
    let say = |what: &str| eprintln!("[{:>4} s] {what}", began.elapsed().as_secs());
    for users in &sizes.users {
        let world = World::start().await?;
        world.folded(0).await?;
        seed::users(&world.url, *users).await?;
        say(&format!("{users} users"));
        explain(&mut table, &world, &sizes, *users).await?;
        plan(&mut table, &world, &sizes, *users).await?;
    }
    if sizes.plays > 0 {
        let history = History::prepare(sizes.plays, sizes.playlists).await?;
        say(&format!("{} plays of {} playlists", sizes.plays, sizes.playlists));
        simulate(&mut table, &history, &sizes).await?;
    }
    println!(
        "\nMedians of {} rounds, smallest and largest behind.\n\n{table}",
        sizes.rounds
    );
    println!("Took {} s.", began.elapsed().as_secs());
    Ok(if table.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Explains users from the first to the last.
async fn explain(table: &mut Table, world: &World, sizes: &Sizes, users: u32) -> Result<()> {
    let mut percentiles = vec![];
    for _ in 0..sizes.rounds {
        let mut times = vec![];
        for part in 0..sizes.explanations {
            let user = seed::user(users / sizes.explanations * part);
            let done = commands::run(&["explain", &user, "--json"], &world.settings).await?;
            times.push(done.took.as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        let slower = times.len() / 100;
        percentiles.push(*times.iter().rev().nth(slower).context("no explanation")?);
    }
    let row = format!("explain, {users} users: p99, ms");
    table.row(&row, Some(Goal::AtMost(EXPLAINED_MS)), &percentiles);
    Ok(())
}

/// Plans under other rules.
async fn plan(table: &mut Table, world: &World, sizes: &Sizes, users: u32) -> Result<()> {
    let rules = world.rules(PLANNED_AT)?;
    let (mut times, mut peaks) = (vec![], vec![]);
    for _ in 0..sizes.rounds {
        let done = commands::run(&["rules", "plan", &rules, "--json", "--all"], &world.settings).await?;
        let planned = done
            .output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .count();
        anyhow::ensure!(planned > users as usize / 8, "{planned} lines for {users} users");
        times.push(done.took.as_secs_f64());
        peaks.push(done.peak_mib);
    }
    let goal = PLANNED_S * f64::from(users) / 100_000.0;
    table.row(
        &format!("rules plan, {users} users, s"),
        Some(Goal::AtMost(goal)),
        &times,
    );
    table.row(
        &format!("rules plan, {users} users: peak memory, MiB"),
        None,
        &peaks,
    );
    Ok(())
}

/// Simulates the history.
async fn simulate(table: &mut Table, history: &History, sizes: &Sizes) -> Result<()> {
    let (mut times, mut peaks) = (vec![], vec![]);
    for _ in 0..sizes.rounds {
        let done = history.simulate().await?;
        times.push(done.took.as_secs_f64());
        peaks.push(done.peak_mib);
    }
    let of = format!("simulate, {} plays, {} playlists", sizes.plays, sizes.playlists);
    table.row(&format!("{of}, s"), Some(Goal::AtMost(SIMULATED_S)), &times);
    table.row(
        &format!("{of}: peak, MiB"),
        Some(Goal::AtMost(SIMULATED_MIB)),
        &peaks,
    );
    Ok(())
}
