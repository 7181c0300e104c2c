//! `rolekeeper pause` and `rolekeeper resume`: an operator stops and restarts the writing of roles.
//!
//! Owns the output about it. Must never end work in flight.

use anyhow::{Result, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::output::say;
use crate::app;
use crate::config::{ActArgs, ByArgs, DatabaseArgs};
use crate::store::Resumed;
use rolekeeper_domain::plural::noun;

/// Stops reads and writes of users at Auth0, on all workers and across restarts; counting continues.
#[derive(Args, Debug)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The reason, for other operators
    #[arg(long, visible_alias = "why", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    #[command(flatten)]
    by: ByArgs,
}

/// Continues reads and writes of users at Auth0. --why is required where they were stopped because another program wrote
/// under our client id, or where role changes were announced that this database does not know.
#[derive(Args, Debug)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn pause(args: PauseArgs) -> Result<()> {
    let PauseArgs { database, reason, by } = args;
    let store = app::connect(&database.checked()?).await?;
    let act = by.act("pause", json!({}), reason.clone());
    match store.pause(reason.as_deref(), &act).await? {
        Some(0) => say!("paused: nothing is written until `rolekeeper resume`; counting continues"),
        Some(in_hand) => say!(
            "paused: {in_hand} {} finished, then nothing is written until `rolekeeper resume`; \
             counting continues",
            noun(in_hand, "user is in flight and is", "users are in flight and are")
        ),
        None => say!("already paused"),
    }
    Ok(())
}

pub(super) async fn resume(args: ResumeArgs) -> Result<()> {
    let ResumeArgs { database, act } = args;
    let act = act.act("resume", json!({}));
    match app::connect(&database.checked()?).await?.resume(&act).await? {
        Resumed::Yes => say!("resumed"),
        Resumed::NotPaused => bail!("not paused, nothing to resume"),
        Resumed::Forgotten(unknown) => bail!(
            "nothing was done: {unknown} {} announced that this database does not know, so it was restored from a \
             backup or is another database. Check that it is the right one, then repeat with --why TEXT",
            noun(unknown, "role change was", "role changes were")
        ),
        Resumed::NeedsReason => bail!(
            "still paused: another program wrote roles under our own client id (`rolekeeper acts` names the record). Find the \
             program, give it its own client, then repeat with --why TEXT"
        ),
    }
    Ok(())
}
