//! `rolekeeper parked`: users who wait for the operator, and the reasons.
//!
//! Owns the columns and the lines of JSON. Must never print a profile.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

use super::output::{self, remark};
use super::table::{Side, Table};
use crate::app;
use crate::config::DatabaseArgs;
use crate::store::Parked;

/// Shows the longest parked users first. A display name that Auth0 refused is shown too; it delays nothing else of the user.
#[derive(Args, Debug)]
pub(super) struct ParkedArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Most users to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// One JSON object per line: `user_id`, `parked_at`, `attempts`, `reason`
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ParkedArgs) -> Result<()> {
    let ParkedArgs {
        database,
        limit,
        json,
    } = args;
    let store = app::connect(&database.checked()?).await?;
    let parked = store.parked(i64::from(limit)).await?;
    let shown = if json { lines(&parked)? } else { table(&parked)? };
    output::to_stdout(format_args!("{shown}"));
    let all = store.count_parked().await?;
    if all > i64::from(limit) {
        remark!("{limit} of {all} parked users shown; --limit shows more");
    }
    Ok(())
}

fn since(parked: &Parked) -> Result<String> {
    let whole = parked.since.replace_nanosecond(0)?;
    Ok(UtcDateTime::from(whole).format(&Rfc3339)?)
}

fn lines(parked: &[Parked]) -> Result<String> {
    let mut text = String::new();
    for one in parked {
        let object = json!({
            "user_id": one.user, "parked_at": since(one)?, "attempts": one.attempts, "reason": one.why,
        });
        writeln!(text, "{object}")?;
    }
    Ok(text)
}

fn table(parked: &[Parked]) -> Result<String> {
    if parked.is_empty() {
        return Ok("no user is parked\n".to_owned());
    }
    let mut table = Table::new([
        ("user", Side::Left),
        ("parked since", Side::Left),
        ("attempts", Side::Right),
        ("reason", Side::Left),
    ]);
    for one in parked {
        table.row([
            one.user.clone(),
            since(one)?,
            one.attempts.to_string(),
            one.why.clone(),
        ]);
    }
    Ok(table.lines(""))
}
