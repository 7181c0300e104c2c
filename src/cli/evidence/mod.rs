//! `rolekeeper evidence`: the completed role changes of a period, for an auditor.
//!
//! Owns the arguments and the exit code. Must never change anything, nor call Auth0.

mod made;
mod make;
mod part;
mod settled;
mod text;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use time::OffsetDateTime;

use self::make::{Making, To};
use self::part::Part;
use super::interrupt::Interrupt;
use super::output;
use crate::app;
use crate::config::DatabaseArgs;
use rolekeeper_domain::date;
use rolekeeper_domain::evidence::{Header, MOST_SAMPLED};

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper evidence --from 2026-01-01 --to 2026-04-01 -o q1.ndjson
  rolekeeper evidence --from 2026-01-01 --to 2026-04-01 --sample 25
  rolekeeper evidence verify q1.ndjson

Exit code: 0 complete and unchanged, 1 error, or wrong arguments, 2 the chain is broken or changes are missing: each is named.";

/// Exit code for a broken chain, as `terraform plan -detailed-exitcode` has it for differences.
const DIFFERENCES: u8 = 2;

/// Shows each role change that was completed in a period: rule, count, event, times, and the acts of operators that released or
/// pinned it. Checks the chain of hashes over these changes. Reads only, so a role of Postgres with SELECT alone is enough.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct EvidenceArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Start of the period: a date, or a time such as 2026-01-01T00:00:00Z. The time of completion counts
    #[arg(long, value_name = "TIME", required = true)]
    from: Option<String>,
    /// End of the period, which does not belong to it [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Show the content of at most N changes, which the end of the chain determines; of the others only the hashes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SAMPLED)))]
    sample: Option<u32>,
    /// Write the evidence to this new file, as JSON with one object per line
    #[arg(long, short, value_name = "FILE", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Print what `--output` writes: one JSON object per line, the first for the period, the last for the end of the chain
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check an evidence file, without any database
    #[command(
        after_help = "Example:\n  rolekeeper evidence verify q1.ndjson\n\nExit code: 0 valid, 1 error, 2 the file was changed or is not whole."
    )]
    Verify {
        /// The file
        file: PathBuf,
    },
}

pub(super) async fn run(args: EvidenceArgs) -> Result<ExitCode> {
    let ended = Interrupt::bounds(Box::pin(evidence(args)), || ()).await?;
    ended.unwrap_or_else(|| bail!("interrupted while Postgres did not respond: no file was written"))
}

async fn evidence(args: EvidenceArgs) -> Result<ExitCode> {
    let EvidenceArgs {
        action,
        database,
        from,
        to,
        sample,
        output,
        json,
    } = args;
    if let Some(Action::Verify { file }) = action {
        return Ok(exit_code(verify::run(&file)?));
    }
    let from = time_of("--from", &from.unwrap_or_default())?;
    let to = to.map(|to| time_of("--to", &to)).transpose()?;
    let database = database.checked()?;
    let to_write = match (&output, json) {
        (Some(file), _) => To::File(Part::create(file)?),
        (None, true) => To::Lines,
        (None, false) => To::Text(String::new()),
    };
    let store = app::connect_to_read(&database).await?;
    let now = store.clock().await?;
    let to = to.unwrap_or(now);
    if from >= to || to > now {
        bail!(
            "--from and --to: expected a period that has ended by the clock of Postgres, such as --from 2026-01-01 --to 2026-04-01"
        );
    }
    let header = Header {
        evidence: rolekeeper_domain::evidence::FORMAT,
        made_at: now,
        from,
        to,
        sample,
        start: None,
    };
    let made = Making::new(&store, header, to_write).run().await?;
    if !json {
        output::to_stdout(format_args!("{}", text::summary(&made, output.as_deref())));
    }
    made.differences.report();
    Ok(exit_code(made.differences.number == 0))
}

fn exit_code(valid: bool) -> ExitCode {
    if valid {
        ExitCode::SUCCESS
    } else {
        DIFFERENCES.into()
    }
}

/// A time, or the start of a day in UTC.
fn time_of(name: &str, text: &str) -> Result<OffsetDateTime> {
    let text = text.trim();
    let day = || date::of_text(&format!("{text}T00:00:00Z"));
    date::of_text(text).or_else(day).with_context(|| {
        format!(
            "{name} \"{}\": expected a date such as 2026-01-01, or a time such as 2026-01-01T12:00:00Z",
            text.escape_debug()
        )
    })
}
