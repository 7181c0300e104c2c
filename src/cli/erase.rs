//! `rolekeeper erase`: erases a user permanently.
//!
//! Owns the report to the operator. Must never erase without the key: nothing would keep late events out.

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use serde_json::json;

use crate::app;
use crate::config::{ActArgs, DatabaseArgs, ErasureArgs};
use rolekeeper_domain::ids::UserId;

/// Removes all stored data about the user and the ids that are linked to the user, and drops later events and records that name the user. It cannot be undone.
/// Delete the user at Auth0 first.
#[derive(Args, Debug)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    /// Auth0 user id, such as `auth0|6132829445244d0069782a78`
    #[arg(value_name = "USER_ID")]
    user: String,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: EraseArgs) -> Result<()> {
    let EraseArgs {
        database,
        erasure,
        user,
        act,
    } = args;
    let (database, key) = erasure.checked(&database)?;
    let key = key.context("ERASURE_KEY: not set")?;
    checked(&user)?;
    // The recorded act names the user by the pseudonym only.
    let act = act.act("erase", json!({}));
    let erased = app::connect(&database).await?.erase(&user, &key, &act).await?;
    println!(
        "{}: erased{}; {} rows removed or made anonymous. Later events and records that name the user are dropped. \
         Messages in the streams stay until their retention ends.",
        erased.ids.join(", "),
        if erased.before { " again" } else { "" },
        erased.rows
    );
    Ok(())
}

/// Refuses a text that cannot be a user id, before it is used.
pub(super) fn checked(user: &str) -> Result<()> {
    UserId::parse(user).map_err(|expected| anyhow!("user \"{}\": {expected}", user.escape_debug()))?;
    Ok(())
}
