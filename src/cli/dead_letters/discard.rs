//! `rolekeeper dead-letters discard`: marks letters that need no more attention.
//!
//! Owns that only named letters are discarded. Must never remove a letter, nor discard one that counted.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::super::output::say;
use super::{show, shown};
use crate::app;
use crate::bus::STREAMS;
use crate::config::{DatabaseArgs, ReasonedArgs};
use crate::store::LetterKey;

/// Marks dead letters as discarded. They stay in the table until they are 30 days old, and can still be requeued. Exit code 1 when
/// one of them does not exist.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  \
    rolekeeper dead-letters discard APP_EVENTS 4711 4712 --why \"the app sent them again under new ids\"")]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The stream of the messages
    #[arg(value_parser = STREAMS)]
    stream: String,
    /// Sequences of the messages in the stream
    #[arg(value_name = "SEQ", required = true, value_parser = clap::value_parser!(i64).range(1..))]
    seqs: Vec<i64>,
    #[command(flatten)]
    act: ReasonedArgs,
}

pub(super) async fn run(args: DiscardArgs) -> Result<ExitCode> {
    let DiscardArgs {
        database,
        stream,
        mut seqs,
        act,
    } = args;
    seqs.sort_unstable();
    seqs.dedup();
    let store = app::connect(&database.checked()?).await?;
    let (mut keys, mut all) = (Vec::<LetterKey>::new(), true);
    for seq in &seqs {
        let letters = show::at(&store, &stream, *seq).await?;
        if letters.is_empty() {
            say!("{stream} {seq}: no such dead letter");
            all = false;
        }
        keys.extend(letters.into_iter().map(|letter| letter.key));
    }
    let act = act.act("dead-letters discard", json!({"stream": stream, "seqs": seqs}));
    let discarded = store.discard_letters(&keys, &act).await?;
    for key in &keys {
        if discarded.contains(key) {
            say!("{}: discarded", shown::name(key));
        } else {
            say!("{}: was handled before, nothing changed", shown::name(key));
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
