//! `rolekeeper parked`: users who wait for the operator, and the reasons.
//!
//! Owns the columns and the lines of JSON. Must never print a profile.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;

use super::output::{self, remark};
use super::table::{Side, Table};
use crate::app;
use crate::config::DatabaseArgs;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::view::parked::Parked;

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
    let page = store.parked(None, i64::from(limit)).await?;
    let shown = if json {
        lines(&page.users)?
    } else {
        table(&page.users)
    };
    output::to_stdout(format_args!("{shown}"));
    if page.more {
        let all = store.count_parked().await?;
        remark!("{limit} of {all} parked users shown; --limit shows more");
    }
    Ok(())
}

fn lines(parked: &[Parked]) -> Result<String> {
    let mut text = String::new();
    for one in parked {
        writeln!(text, "{}", serde_json::to_string(one)?)?;
    }
    Ok(text)
}

fn table(parked: &[Parked]) -> String {
    if parked.is_empty() {
        return "no user is parked\n".to_owned();
    }
    let mut table = Table::new([
        ("user", Side::Left),
        ("parked since", Side::Left),
        ("attempts", Side::Right),
        ("reason", Side::Left),
    ]);
    for one in parked {
        table.row([
            one.user_id.clone(),
            moment(one.parked_at),
            one.attempts.to_string(),
            one.reason.clone(),
        ]);
    }
    table.lines("")
}
