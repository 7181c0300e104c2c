//! `rolekeeper acts`: the acts of operators and their reasons.
//!
//! Owns the table and the lines of JSON. Must never print a control character: operators typed the reasons by hand.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

use super::output;
use crate::app;
use crate::config::DatabaseArgs;
use crate::store::Acted;
use rolekeeper_domain::explanation::plain;

/// Shows the newest acts first: time, operator, command, outcome, reason and number.
#[derive(Args, Debug)]
pub(super) struct ActsArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Most acts to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// One JSON object per line: `number`, `at`, `by`, `db_user`, `command`, `arguments`, `why`, `outcome`
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ActsArgs) -> Result<()> {
    let ActsArgs {
        database,
        limit,
        json,
    } = args;
    let acts = app::connect(&database.checked()?)
        .await?
        .acts(limit.into())
        .await?;
    let mut text = String::new();
    for act in &acts {
        let at = UtcDateTime::from(act.at.replace_nanosecond(0)?).format(&Rfc3339)?;
        writeln!(text, "{}", if json { line(act, &at) } else { sentence(act, &at) })?;
    }
    output::to_stdout(format_args!("{text}"));
    Ok(())
}

fn line(act: &Acted, at: &str) -> String {
    let Acted {
        number,
        at: _,
        by,
        db_user,
        command,
        arguments,
        why,
        outcome,
    } = act;
    json!({
        "number": number, "at": at, "by": by, "db_user": db_user, "command": command, "arguments": arguments, "why": why, "outcome": outcome,
    })
    .to_string()
}

fn sentence(act: &Acted, at: &str) -> String {
    let why = act
        .why
        .as_deref()
        .map(|why| format!(" ({why})"))
        .unwrap_or_default();
    let Acted {
        number,
        by,
        command,
        arguments,
        outcome,
        ..
    } = act;
    plain(&format!(
        "{at}  {by}  {command} {arguments}: {outcome}{why}  [act {number}]"
    ))
}
