//! `rolekeeper-sandbox`: runs the whole system on this host, without any outside service.
//!
//! Owns the order of the run, its time limits, and the exit code: 0 only if every check holds. Must never leave files or
//! processes, listen beyond loopback, or base a check on the worker's own reports.

mod changes;
mod check;
mod checks;
mod evidence;
mod keep;
mod logs;
mod progress;
mod run;
mod table;
mod text;
mod walk;
mod world;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use evidence::{Ask, Evidence};
use progress::Progress;
use rolekeeper_sandbox::traffic::cast::Cast;
use rolekeeper_sandbox::traffic::log_file::LogFile;
use run::Run;
use world::World;

/// Longest time of the traffic until all work is done; it usually takes a minute.
const TRAFFIC_WITHIN: Duration = Duration::from_mins(4);
/// Longest time of one user's walk, which usually takes seconds.
const WALK_WITHIN: Duration = Duration::from_mins(2);
/// Longest time of the whole run, in case a server does not respond at all.
const ALL_WITHIN: Duration = Duration::from_mins(5);
/// Exit code after Ctrl-C, as in a shell.
const INTERRUPTED: u8 = 130;

/// Starts private Postgres and NATS servers, a stand-in for an Auth0 tenant and the real worker, all on
/// loopback, sends sample traffic through them and shows the results. Takes about a minute. Exits with 0
/// only if all results agree with the sandbox's own count; leaves no files or processes.
#[derive(Debug, Parser)]
#[command(name = "rolekeeper-sandbox", version, max_term_width = 110)]
struct SandboxArgs {
    /// Log records to post to the webhook too: JSON in any format of Auth0
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
    /// Keep everything running until Ctrl-C, and print its addresses
    #[arg(long)]
    keep: bool,
    /// Seed of the random traffic
    #[arg(long, value_name = "NUMBER", default_value_t = 42)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(SandboxArgs::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rolekeeper-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: SandboxArgs) -> Result<ExitCode> {
    let (mut stop, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // The exit code after Ctrl-C: the result of the checks, once they are done and the system keeps running.
    let ended = Cell::new(ExitCode::from(INTERRUPTED));
    tokio::select! {
        code = whole(args, &ended) => code,
        _ = stop.recv() => Ok(ended.get()),
        _ = end.recv() => Ok(ended.get()),
    }
}

async fn whole(args: SandboxArgs, ended: &Cell<ExitCode>) -> Result<ExitCode> {
    let file = args.logs.as_deref().map(LogFile::read).transpose()?;
    let cast = Cast::new(args.seed);
    let progress = Progress::new();
    progress.say("one user's walk");
    walked(args.seed).await.context("one user's walk")?;
    progress.say("starting Postgres, NATS, the tenant and the worker");
    let mut world = World::start(args.seed).await?;
    let ask = Ask {
        seed: args.seed,
        cast: &cast,
        file,
        keep: args.keep,
    };
    let shown = timeout(ALL_WITHIN, show(&mut world, progress, ask)).await;
    let shown = shown.unwrap_or_else(|_| Err(anyhow::anyhow!("not done within {ALL_WITHIN:?}")));
    if !matches!(shown, Ok(true)) {
        eprintln!(
            "\nThe last lines of the worker's log:\n{}\n",
            world.worker.log_tail()
        );
    }
    let code = if shown? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    if args.keep {
        println!("{}", keep::guide(&world, &cast));
        ended.set(code);
        loop {
            sleep(Duration::from_secs(1)).await;
            world.worker.still_runs()?;
        }
    }
    Ok(code)
}

/// Runs one user's walk, with separate servers.
async fn walked(seed: u64) -> Result<()> {
    let world = World::start(seed).await?;
    world.stream_logs(seed)?;
    let done = timeout(WALK_WITHIN, walk::walk(&world)).await;
    let done = done.unwrap_or_else(|_| Err(anyhow::anyhow!("not done within {WALK_WITHIN:?}")));
    if done.is_err() {
        eprintln!(
            "\nThe last lines of the worker's log:\n{}\n",
            world.worker.log_tail()
        );
    }
    done
}

/// Runs the traffic and prints the table; returns whether every check holds.
async fn show(world: &mut World, progress: Progress, ask: Ask<'_>) -> Result<bool> {
    let deadline = Instant::now() + TRAFFIC_WITHIN;
    let mut run = Run::new(world, ask.cast, progress, deadline).await?;
    run.everything(ask.seed, ask.file.as_ref()).await?;
    let account = run.into();
    let evidence = Evidence::gather(world, account, ask)
        .await
        .context("cannot read the results")?;
    let checks = checks::all(&evidence);
    print!("{}", table::table(&evidence, &checks)?);
    Ok(evidence.late.is_none() && checks.iter().all(|check| check.holds))
}
