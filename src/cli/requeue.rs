//! `rolekeeper requeue`: parked users are due again, once a person has mended what parked them.
//!
//! Owns that nobody is woken who was not named, or meant by `--all`. Must never decide anything: each is looked at and
//! may be parked again.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::json;

use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use rolekeeper_domain::ids::UserId;

/// They are looked at next, as if they had never failed; a display name that was refused is sent again. Exit code 1
/// when none of those named was parked.
#[derive(Args, Debug)]
pub(super) struct RequeueArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Users to make due; may be repeated
    #[arg(
        long = "user",
        value_name = "USER_ID",
        num_args = 1..,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    users: Vec<String>,
    /// Everybody who is parked
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: RequeueArgs) -> Result<ExitCode> {
    let RequeueArgs {
        database,
        mut users,
        all,
        act,
    } = args;
    let database = database.checked()?;
    for user in &users {
        UserId::parse(user.as_str())
            .map_err(|expected| anyhow!("user \"{}\": {expected}", user.escape_debug()))?;
    }
    users.sort_unstable();
    users.dedup();
    let named = (!all).then_some(users.as_slice());
    // Which users is added where it is known.
    let act = act.act("requeue", json!({}));
    let requeued = app::connect(&database).await?.requeue(named, &act).await?;
    println!("{} requeued", requeued.len());
    for user in users.iter().filter(|user| !requeued.contains(user)) {
        println!("{user}: not parked");
    }
    Ok(if requeued.is_empty() && !all {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
