//! The run of all sizes in turns, so that a noisy minute of the host affects all of them.
//!
//! Owns the sizes and the rounds. Must never omit a round.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;

use crate::cost::{self, Cost};
use crate::seed;
use crate::table::{Goal, Table};
use crate::world::World;

/// Scrapes of one measurement.
const SCRAPES: u32 = 50;

/// Explanations of one measurement, each of another user.
const EXPLANATIONS: u32 = 100;
/// Goal of the slowest but one of them.
const EXPLAINED_MS: f64 = 100.0;

/// The pages of the console, by their paths, but that of one user.
const PAGES: [&str; 9] = [
    "",
    "/changes",
    "/queue",
    "/parked",
    "/dead-letters",
    "/brakes",
    "/rules",
    "/users",
    "/users?q=a",
];

/// Sizes of the measurement. The goals hold for the defaults; smaller sizes serve the development of the bench.
#[derive(Debug, Parser)]
pub(crate) struct Sizes {
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Users, each with a playlist; the last size is compared with the first
    #[arg(long, value_delimiter = ',', default_values_t = [30_000, 3_000_000])]
    users: Vec<u32>,
    /// Seconds for which the idle worker is measured
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
    /// Users who cross the threshold, one after the other, in a round
    #[arg(long, default_value_t = 20)]
    crossings: u32,
}

/// One size with its figures.
struct Size {
    world: World,
    idle: Cost,
    scrape: Cost,
    explanation: Cost,
    explained: Vec<f64>,
    console: Cost,
    start: Cost,
    crossing: Cost,
    rules: Cost,
    compared: Cost,
    memory: Vec<f64>,
}

/// Measures all sizes and prints the table.
pub(crate) async fn all(sizes: Sizes) -> Result<ExitCode> {
    anyhow::ensure!(
        sizes.rounds > 0 && sizes.crossings > 0 && sizes.idle_seconds > 0 && !sizes.users.is_empty(),
        "at least one of each"
    );
    let began = Instant::now();
    let mut all = vec![];
    for users in &sizes.users {
        all.push(Size::new(
            World::start(*users, sizes.rounds * sizes.crossings).await?,
        ));
        eprintln!("[{:>4} s] {users} users", began.elapsed().as_secs());
    }
    for round in 1..=sizes.rounds {
        for size in &mut all {
            size.start().await?;
        }
        idle(&mut all, Duration::from_secs(sizes.idle_seconds)).await?;
        for size in &mut all {
            size.scrape().await?;
            size.explain().await?;
            size.console().await?;
            size.cross(sizes.crossings).await?;
            size.rules().await?;
        }
        eprintln!("[{:>4} s] round {round}", began.elapsed().as_secs());
    }
    let table = table(&all, sizes.idle_seconds)?;
    println!(
        "\nCPU of the worker, Postgres and nats-server together. Medians of {} rounds, smallest and largest behind.\n\n{table}",
        sizes.rounds
    );
    println!("Took {} s.", began.elapsed().as_secs());
    for size in &mut all {
        size.world.stop_worker().await?;
    }
    Ok(if table.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Size {
    fn new(world: World) -> Self {
        Self {
            world,
            idle: Cost::default(),
            scrape: Cost::default(),
            explanation: Cost::default(),
            explained: vec![],
            console: Cost::default(),
            start: Cost::default(),
            crossing: Cost::default(),
            rules: Cost::default(),
            compared: Cost::default(),
            memory: vec![],
        }
    }

    async fn start(&mut self) -> Result<()> {
        self.world.stop_worker().await?;
        let (began, before) = (Instant::now(), self.world.cpu()?);
        self.world.start_worker().await?;
        let spent = self.world.cpu()? - before;
        self.start.push(spent, began.elapsed(), 1);
        Ok(())
    }

    async fn scrape(&mut self) -> Result<()> {
        let (began, before) = (Instant::now(), self.world.cpu()?);
        for _ in 0..SCRAPES {
            self.world.scrape().await?;
        }
        let spent = self.world.cpu()? - before;
        self.scrape.push(spent, began.elapsed(), SCRAPES);
        Ok(())
    }

    /// Runs the command for users from the first to the last.
    async fn explain(&mut self) -> Result<()> {
        let (began, before) = (Instant::now(), self.world.cpu()?);
        let mut times = vec![];
        for part in 0..EXPLANATIONS {
            let took = self.world.explain(self.world.users / EXPLANATIONS * part).await?;
            times.push(took.as_secs_f64() * 1_000.0);
        }
        let spent = self.world.cpu()? - before;
        self.explanation.push(spent, began.elapsed(), EXPLANATIONS);
        times.sort_by(f64::total_cmp);
        self.explained.extend(times.iter().rev().nth(1));
        Ok(())
    }

    /// Shows each page of the console.
    async fn console(&mut self) -> Result<()> {
        let console = self.world.console().await?;
        let user = format!(
            "/user?id={}",
            seed::user(self.world.users / 2).replace('|', "%7C")
        );
        let (began, before) = (Instant::now(), self.world.cpu()?);
        for page in PAGES.into_iter().chain([user.as_str()]) {
            console.get(page).await?.bytes().await?;
        }
        let spent = self.world.cpu()? - before;
        self.console.push(spent, began.elapsed(), 1);
        Ok(())
    }

    async fn cross(&mut self, crossings: u32) -> Result<()> {
        let (began, before) = (Instant::now(), self.world.cpu()?);
        for _ in 0..crossings {
            self.world.cross().await?;
        }
        let spent = self.world.cpu()? - before;
        self.crossing.push(spent, began.elapsed(), crossings);
        Ok(())
    }

    /// Changes the rules; measures until they are in force, and then until all users were compared with them.
    async fn rules(&mut self) -> Result<()> {
        let (began, before) = (Instant::now(), self.world.cpu()?);
        self.world.change_rules().await?;
        let spent = self.world.cpu()? - before;
        self.rules.push(spent, began.elapsed(), 1);
        let (began, before) = (Instant::now(), self.world.cpu()?);
        self.world.all_compared().await?;
        let spent = self.world.cpu()? - before;
        self.compared.push(spent, began.elapsed(), 1);
        Ok(())
    }
}

/// Measures the idle workers of all sizes at once: each has separate processes.
async fn idle(all: &mut [Size], time: Duration) -> Result<()> {
    let mut before = vec![];
    for size in all.iter() {
        before.push((Instant::now(), size.world.cpu()?));
    }
    tokio::time::sleep(time).await;
    for (size, (began, before)) in all.iter_mut().zip(before) {
        let spent = size.world.cpu()? - before;
        size.idle.push(spent, began.elapsed(), 1);
        size.memory.push(size.world.memory_mib()?);
    }
    Ok(())
}

fn table(all: &[Size], idle_seconds: u64) -> Result<Table> {
    let mut table = Table::default();
    let of = |cost: fn(&Size) -> &Cost| -> Vec<(u32, &Cost)> {
        all.iter().map(|size| (size.world.users, cost(size))).collect()
    };
    cost::rows(
        &mut table,
        &format!("{idle_seconds} s idle"),
        &of(|size| &size.idle),
    )?;
    cost::rows(&mut table, "a scrape", &of(|size| &size.scrape))?;
    cost::rows(&mut table, "an explanation", &of(|size| &size.explanation))?;
    for size in all {
        let row = format!("an explanation, {} users: p99, ms", size.world.users);
        table.row(&row, Some(Goal::AtMost(EXPLAINED_MS)), &size.explained);
    }
    cost::rows(&mut table, "all pages of the console", &of(|size| &size.console))?;
    cost::rows(&mut table, "a start until ready", &of(|size| &size.start))?;
    cost::rows(
        &mut table,
        "a rule change until in force",
        &of(|size| &size.rules),
    )?;
    cost::rows(
        &mut table,
        "a crossing until the role is held",
        &of(|size| &size.crossing),
    )?;
    cost::time_rows(
        &mut table,
        "all users compared after it",
        &of(|size| &size.compared),
    );
    for size in all {
        let row = format!("worker's memory, {} users, MiB", size.world.users);
        table.row(&row, None, &size.memory);
    }
    Ok(table)
}
