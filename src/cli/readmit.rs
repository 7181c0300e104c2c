//! `rolekeeper readmit`: an erased user who has come back.
//!
//! Owns the report. Must never name the user in the recorded act: that would tell who the erased user of the audit was.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::ask::whole_id;
use super::output::say;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs, ErasureArgs};

/// Readmits an erased user who has come back with the same id, such as a social login: later events and records count again.
/// Erased data does not come back.
#[derive(Args, Debug)]
pub(super) struct ReadmitArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    /// Auth0 user id; each id of a person is readmitted by itself
    #[arg(value_name = "USER_ID")]
    user: String,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: ReadmitArgs) -> Result<()> {
    let ReadmitArgs {
        database,
        erasure,
        user,
        act,
    } = args;
    let (database, key, _) = erasure.checked_with(&database, None, true)?;
    let key = key.context("ERASURE_KEY: not set")?;
    let user = whole_id(&user)?;
    let user = user.as_str();
    let act = act.act("readmit", json!({}));
    if !app::connect(&database).await?.readmit(user, &key, &act).await? {
        bail!("{user}: this id was not erased, so there is nothing to readmit");
    }
    say!(
        "{user}: readmitted; events and records that name the user count from now on. Erased data does not come back"
    );
    Ok(())
}
