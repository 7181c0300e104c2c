//! `rolekeeper dead-letters show`: one dead letter with its message.
//!
//! Owns its form. Must never print bytes of the message unescaped.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::super::output;
use super::shown;
use crate::app;
use crate::bus::STREAMS;
use crate::config::DatabaseArgs;
use crate::store::{Letter, LetterFilter, Store};

/// Most letters with one sequence: a stream was created again that many times within the retention.
const SAME_SEQ: i64 = 100;

/// Shows a dead letter: when and by which worker it was stored, the fault, and the stored part of the message, escaped for a
/// terminal.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolekeeper dead-letters show APP_EVENTS 4711")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The stream of the message
    #[arg(value_parser = STREAMS)]
    stream: String,
    /// Sequence of the message in the stream
    #[arg(value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    seq: i64,
    /// One JSON object per line; `payload_base64` has the stored bytes
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ShowArgs) -> Result<()> {
    let ShowArgs {
        database,
        stream,
        seq,
        json,
    } = args;
    let store = app::connect(&database.checked()?).await?;
    let letters = at(&store, &stream, seq).await?;
    if letters.is_empty() {
        bail!(
            "{stream} {seq}: no such dead letter; `rolekeeper dead-letters list --stream {stream}` shows them"
        );
    }
    let mut text = String::new();
    for letter in &letters {
        if json {
            let mut object = shown::object(letter)?;
            object["headers"] = letter.headers.clone().into();
            object["payload"] = shown::bytes(&letter.payload).into();
            object["payload_base64"] = STANDARD.encode(&letter.payload).into();
            writeln!(text, "{object}")?;
        } else {
            write!(text, "{}", whole(letter)?)?;
        }
    }
    output::to_stdout(format_args!("{text}"));
    Ok(())
}

/// All letters with this sequence, also those that were handled.
pub(super) async fn at(store: &Store, stream: &str, seq: i64) -> Result<Vec<Letter>> {
    let filter = LetterFilter {
        stream: Some(stream.to_owned()),
        seq: Some(seq),
        handled: true,
        ..LetterFilter::default()
    };
    Ok(store.letters(&filter, None, SAME_SEQ).await?)
}

fn whole(letter: &Letter) -> Result<String> {
    let by = letter.kept_by.as_deref().unwrap_or("an earlier release");
    let mut text = format!("{}\n", shown::name(&letter.key));
    let mut field = |name: &str, value: &str| writeln!(text, "  {name:9} {value}");
    field("stored", &shown::time(letter.key.stored_at)?)?;
    field("subject", &shown::line(&letter.subject))?;
    field(
        "reason",
        &format!("{}: {}", letter.reason, shown::line(&letter.detail)),
    )?;
    field(
        "kept",
        &format!("{} by {}", shown::time(letter.kept_at)?, shown::line(by)),
    )?;
    if let Some((how, at)) = &letter.handled {
        field("handled", &format!("{} {how}", shown::time(*at)?))?;
    }
    let size = if letter.is_cut() {
        format!(
            "{} bytes, of which the first {} are stored",
            letter.size,
            letter.payload.len()
        )
    } else {
        format!("{} bytes", letter.size)
    };
    field("message", &size)?;
    for header in letter.headers.as_deref().into_iter().flat_map(str::lines) {
        field("header", &shown::line(header))?;
    }
    writeln!(text, "{}", shown::bytes(&letter.payload))?;
    Ok(text)
}
