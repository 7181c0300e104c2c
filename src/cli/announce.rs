//! `rolekeeper announce`: sends role changes again that the stream lost.
//!
//! Owns the time from which changes are sent again. Must never send by itself: the announcing worker sends, in the order of
//! the changes.

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::output::say;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use rolekeeper_domain::date;
use rolekeeper_domain::plural::noun;

/// Sends announced role changes again, for a stream `ROLE_CHANGES` that lost them. Changes that the stream still holds
/// are sent a second time, under the same message ids.
#[derive(Args, Debug)]
pub(super) struct AnnounceArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Send changes completed at this time or later, such as 2026-11-23T10:00:00Z; `start` for all
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
    let are = noun(changes, "change is", "changes are");
    say!("{changes} {are} queued to be announced again, in their order");
    Ok(())
}
