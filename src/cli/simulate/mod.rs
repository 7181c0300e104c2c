//! `rolekeeper simulate`: replays the kept events under proposed rules.
//!
//! Owns the arguments and the JSON form. Must never change anything, nor call Auth0.

mod calls;
mod text;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::interrupt::Interrupt;
use super::output;
use super::progress::Progress;
use super::rules;
use crate::app;
use crate::config::{ForbiddenArgs, SimulateConfig, SimulateSettings};
use crate::flow::simulate::{Simulate, Simulation};
use calls::Calls;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper simulate --rules rules.toml --history 7
  rolekeeper simulate --rules rules.toml --json | jq '.users[] | {user_id, crossings}'

Exit code: 0 simulated, 1 an error, or wrong arguments.";

/// Replays the events that the stream still keeps under proposed rules, and reports each user whose count would have crossed a
/// threshold, with the time and the event. The counts before the first kept event are the present ones without the events since;
/// where these do not tell them, the result says so. Reads only: a role of Postgres with SELECT alone is enough, and it makes no call
/// to Auth0. Its memory grows with the number of playlists, not of plays.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct SimulateArgs {
    #[command(flatten)]
    settings: SimulateSettings,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// The proposed rules (TOML)
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// Most days to replay [default: all that the stream keeps]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    history: Option<u32>,
    /// Most users to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// One JSON object with all users
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    simulation: &'a Simulation<'a>,
    plan: String,
    work: Calls,
}

pub(super) async fn run(args: SimulateArgs) -> Result<()> {
    let SimulateArgs {
        settings,
        forbidden,
        rules: file,
        history,
        limit,
        json,
    } = args;
    let SimulateConfig {
        database,
        bus,
        erasure_key,
        plan,
    } = settings.checked()?;
    let rules = rules::read(&file, &forbidden.roles())?.rules;
    let store = app::connect_to_read(&database)
        .await?
        .with_erasure_key(erasure_key);
    store.check_erasure_key().await?;
    let reserve = store.limits().await?.reserve();
    let (stop, mut interrupt) = (CancellationToken::new(), Interrupt::catch()?);
    let simulate = Simulate {
        store: &store,
        bus: &app::bus(&bus).await?,
        rules: &rules,
        days: history,
        stop: stop.clone(),
    };
    let mut progress = None;
    let simulated = simulate.run(|read, all| {
        let progress = progress.get_or_insert_with(|| Progress::new("messages", Some(all)));
        progress.at(read);
    });
    let simulation = interrupt.stops(Box::pin(simulated), &stop).await;
    if let Some(progress) = progress {
        progress.clear();
    }
    let simulation = simulation?;
    let work = Calls::of(&simulation.report, plan, reserve);
    if json {
        let plan = plan.to_string();
        let shown = Shown {
            simulation: &simulation,
            plan,
            work,
        };
        output::json(&shown)?;
    } else {
        output::to_stdout(format_args!("{}", text::of(&simulation, &work, plan, limit)));
    }
    Ok(())
}
