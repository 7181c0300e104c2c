//! `rolekeeper requeue`: returns parked users to the work queue, after the operator has corrected the cause.
//!
//! Owns that only named users, or all with `--all`, are requeued. Must never decide anything: each user is reconciled and may
//! be parked again.

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde_json::json;

use super::interrupt::Interrupt;
use super::output::say;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::{RequeueAll, Store};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::ids::UserId;

/// Requeues parked users: they are reconciled next, with their failures forgotten; a refused display name is sent again.
/// Exit code 1 when none of the named users was parked.
#[derive(Args, Debug)]
pub(super) struct RequeueArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Users to requeue; may be repeated
    #[arg(
        long = "user",
        value_name = "USER_ID",
        num_args = 1..,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    users: Vec<String>,
    /// All parked users
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
    let store = app::connect(&database).await?;
    if all {
        return requeue_all(&store, &act.act("requeue", json!({"all": true, "users": []}))).await;
    }
    // The store adds the users that were requeued.
    let act = act.act("requeue", json!({}));
    let requeued = store.requeue(&users, &act).await?;
    say!("{} requeued", requeued.len());
    for user in users.iter().filter(|user| !requeued.contains(user)) {
        say!("{user}: not parked");
    }
    Ok(if requeued.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Requeues all, slice by slice, until a signal interrupts it.
async fn requeue_all(store: &Store, act: &Act) -> Result<ExitCode> {
    let (mut all, mut interrupt) = (RequeueAll::default(), Interrupt::catch()?);
    let so_far = |all: &RequeueAll| {
        format!(
            "interrupted: {} requeued, the others are still parked. To continue: rolekeeper requeue --all",
            all.users
        )
    };
    loop {
        let more = store.requeue_next(&mut all, act).await;
        if !more.with_context(|| so_far(&all))? {
            break;
        }
        if interrupt.is_requested() {
            bail!("{}", so_far(&all));
        }
    }
    say!("{} requeued", all.users);
    Ok(ExitCode::SUCCESS)
}
