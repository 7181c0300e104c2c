//! `rolekeeper forgive`: playlists of which more plays were taken back than were counted.
//!
//! Owns that this happens on purpose only: each playlist is named, or `--all`.

use anyhow::{Result, bail};
use clap::Args;
use tracing::info;

use crate::app;
use crate::config::DatabaseArgs;

/// Sets counts that lie below 0 to 0, so that the next play counts. A retraction whose play is still to come is forgiven too,
/// and that play will count.
#[derive(Args, Debug)]
pub(super) struct ForgiveArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// A playlist; may be repeated
    #[arg(long = "playlist", value_name = "ID")]
    playlists: Vec<String>,
    /// Every playlist below 0
    #[arg(long, conflicts_with = "playlists")]
    all: bool,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    why: String,
}

pub(super) async fn run(args: ForgiveArgs) -> Result<()> {
    let ForgiveArgs {
        database,
        playlists,
        all,
        why,
    } = args;
    if playlists.is_empty() && !all {
        bail!("no playlist was named: give --playlist or --all");
    }
    let store = app::connect(&database.checked()?).await?;
    let named = (!all).then_some(playlists.as_slice());
    let forgiven = store.forgive(named).await?;
    info!(forgiven, why, "playlists below 0 were set to 0");
    println!("{forgiven} playlists were below 0 and are at 0 now");
    Ok(())
}
