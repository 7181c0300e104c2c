//! `rolekeeper pause` and `rolekeeper resume`: a person stops the writing, and lets it go on.
//!
//! Owns what is said about it. Must never end what is in hand.

use anyhow::{Result, bail};
use clap::Args;

use crate::app;
use crate::config::DatabaseArgs;

/// Looks and writes stop, on all workers and across restarts; counting goes on.
#[derive(Args, Debug)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Why, for whoever finds it paused
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Looks and writes go on.
#[derive(Args, Debug)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Why; needed where this database lacks role changes that were announced
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

pub(super) async fn pause(args: PauseArgs) -> Result<()> {
    let PauseArgs { database, reason } = args;
    let store = app::connect(&database.checked()?).await?;
    match store.pause(reason.as_deref()).await? {
        Some(0) => println!("paused: nothing is written until `rolekeeper resume`; counting goes on"),
        Some(in_hand) => println!(
            "paused: {in_hand} users are in hand and come to their end, then nothing is written until `rolekeeper resume`; \
             counting goes on"
        ),
        None => println!("paused already"),
    }
    Ok(())
}

pub(super) async fn resume(args: ResumeArgs) -> Result<()> {
    let ResumeArgs { database, why } = args;
    let store = app::connect(&database.checked()?).await?;
    let unknown = store.forgotten().await?.map_or(0, |found| found.unknown);
    if unknown > 0 {
        if why.is_none() {
            bail!(
                "nothing was done: {unknown} role changes were announced that this database does not know, so it was restored \
                 from a backup or is another one. See that it is the right one, then add --why TEXT"
            );
        }
        println!("{unknown} role changes that this database does not know are left behind");
    }
    if !store.resume(why.as_deref()).await? {
        bail!("not paused, nothing to resume");
    }
    println!("resumed");
    Ok(())
}
