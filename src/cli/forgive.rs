//! `rolekeeper forgive`: resets playlists with more retracted than counted plays.
//!
//! Owns that this happens on purpose only: each playlist is named, or `--all` is given.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::output::say;
use crate::app;
use crate::config::{DatabaseArgs, ReasonedArgs};
use rolekeeper_domain::plural::noun;

/// Sets counts below 0 to 0, so that the next play counts. A retraction whose play has not arrived yet is forgiven too, and
/// that play will count.
#[derive(Args, Debug)]
pub(super) struct ForgiveArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// A playlist; may be repeated
    #[arg(long = "playlist", value_name = "ID")]
    playlists: Vec<String>,
    /// All playlists below 0
    #[arg(long, conflicts_with = "playlists")]
    all: bool,
    #[command(flatten)]
    act: ReasonedArgs,
}

pub(super) async fn run(args: ForgiveArgs) -> Result<()> {
    let ForgiveArgs {
        database,
        playlists,
        all,
        act,
    } = args;
    if playlists.is_empty() && !all {
        bail!("no playlist is named: give --playlist or --all");
    }
    let store = app::connect(&database.checked()?).await?;
    let named = (!all).then_some(playlists.as_slice());
    let act = act.act("forgive", json!({"all": all, "playlists": playlists}));
    let forgiven = store.forgive(named, &act).await?;
    let were = noun(
        forgiven,
        "playlist was below 0 and is",
        "playlists were below 0 and are",
    );
    say!("{forgiven} {were} at 0 now");
    Ok(())
}
