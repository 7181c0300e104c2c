//! `rolekeeper dead-letters list`: the letters, page by page, and their numbers.
//!
//! Owns the table, the counts and the lines of JSON. Must never count all rows of a long list: a number that is cut says so.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;

use super::super::output::{self, remark};
use super::shown;
use crate::app;
use crate::bus::STREAMS;
use crate::config::DatabaseArgs;
use crate::flow::letters;
use crate::store::{Letter, LetterFilter};
use rolekeeper_domain::event::Reason;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::view::letters::LetterCount;

/// Shows the dead letters that wait, in the order of stream and sequence, and their number for each reason.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolekeeper dead-letters list --stream APP_EVENTS --reason bad_value")]
pub(super) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only those of this stream
    #[arg(long, value_parser = STREAMS)]
    stream: Option<String>,
    /// Only those with this reason
    #[arg(long, value_parser = reasons())]
    reason: Option<String>,
    /// Also those that were requeued or discarded
    #[arg(long)]
    all: bool,
    /// Only the numbers, by stream and reason
    #[arg(long, conflicts_with_all = ["all", "after", "limit"])]
    counts: bool,
    /// The next page: the letters behind this key, which the page before printed
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// Most dead letters to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON object per line: of a letter `key`, `stream`, `seq`, `reason`, `detail` and more; with --counts `stream`,
    /// `reason`, `waiting`, `waiting_capped`, `found`
    #[arg(long)]
    json: bool,
}

/// The reasons that the command line accepts.
pub(super) fn reasons() -> Vec<&'static str> {
    Reason::ALL.map(Reason::as_str).to_vec()
}

pub(super) async fn run(args: ListArgs) -> Result<()> {
    let ListArgs {
        database,
        stream,
        reason,
        all,
        counts: only_counts,
        after,
        limit,
        json,
    } = args;
    let after = after.as_deref().map(shown::parsed).transpose()?;
    let store = app::connect(&database.checked()?).await?;
    let filter = LetterFilter {
        stream,
        reason,
        seq: None,
        handled: all,
    };
    if only_counts || (!json && after.is_none()) {
        let counts = letters::counts(&store, &filter).await?;
        output::to_stdout(format_args!(
            "{}",
            if json {
                count_lines(&counts)?
            } else {
                count_table(&counts)?
            }
        ));
    }
    if only_counts {
        return Ok(());
    }
    let most = limit as usize;
    let found = store
        .letters(&filter, after.as_ref(), i64::from(limit) + 1)
        .await?;
    let (page, more) = found.split_at(found.len().min(most));
    let text = if json { lines(page)? } else { table(page)? };
    output::to_stdout(format_args!("{text}"));
    if let (Some(last), false) = (page.last(), more.is_empty()) {
        remark!(
            "{} {} shown; the next page: --after {}",
            page.len(),
            noun(page.len(), "dead letter", "dead letters"),
            letters::word(&last.key)
        );
    }
    Ok(())
}

fn count_lines(counts: &[LetterCount]) -> Result<String> {
    let mut text = String::new();
    for one in counts {
        writeln!(text, "{}", serde_json::to_string(one)?)?;
    }
    Ok(text)
}

fn count_table(counts: &[LetterCount]) -> Result<String> {
    if counts.is_empty() {
        return Ok("no message became a dead letter in the last 30 days\n".to_owned());
    }
    let mut text = format!(
        "{:10}  {:19}  {:>8}  {:>16}\n",
        "stream", "reason", "waiting", "found in 30 days"
    );
    for one in counts {
        let waiting = one.shown().to_string();
        writeln!(
            text,
            "{:10}  {:19}  {waiting:>8}  {:>16}",
            one.stream, one.reason, one.found
        )?;
    }
    Ok(text)
}

fn lines(letters: &[Letter]) -> Result<String> {
    let mut text = String::new();
    for letter in letters {
        writeln!(text, "{}", shown::object(letter)?)?;
    }
    Ok(text)
}

fn table(letters: &[Letter]) -> Result<String> {
    let mut text = String::new();
    for letter in letters {
        let handled = letter
            .handled
            .as_ref()
            .map_or_else(String::new, |(how, _)| format!(" ({how})"));
        let at = shown::time(letter.key.stored_at)?;
        let detail = shown::line(&letter.detail);
        writeln!(
            text,
            "{}  {at}  {}{handled}: {detail}",
            shown::name(&letter.key),
            letter.reason
        )?;
    }
    Ok(text)
}
