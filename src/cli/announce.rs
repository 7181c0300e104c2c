//! `rolekeeper announce`: changes of roles that the stream lost are sent again.
//!
//! Owns from when on. Must never send by itself: the worker that announces does, in the order of the changes.

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use rolekeeper_domain::date;

/// Sends announced changes of roles again, for a stream `ROLE_CHANGES` that lost them. Those that the stream still holds
/// come a second time, under the same message ids.
#[derive(Args, Debug)]
pub(super) struct AnnounceArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// From changes completed at this time on, such as 2026-11-23T10:00:00Z; `start` for all
    #[arg(long)]
    from: String,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: AnnounceArgs) -> Result<()> {
    let from = match args.from.as_str() {
        "start" => OffsetDateTime::UNIX_EPOCH,
        text => date::of_text(text)
            .with_context(|| format!("--from \"{}\": expected a time, or `start`", text.escape_debug()))?,
    };
    let database = args.database.checked()?;
    let act = args.act.act("announce", json!({"from": args.from}));
    let changes = app::connect(&database).await?.announce_again(from, &act).await?;
    println!("{changes} changes are sent again, in their order");
    Ok(())
}
