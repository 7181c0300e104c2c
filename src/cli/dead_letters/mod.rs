//! `rolekeeper dead-letters`: messages that could not be folded.
//!
//! Owns the four actions. Must never change a letter without an act of the operator.

mod discard;
mod list;
mod requeue;
mod show;
mod shown;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Shows the messages that could not be folded, folds them again after their cause was corrected, or discards them.
#[derive(Args, Debug)]
#[command(after_help = "Example, after an upgrade that knows a new event type:\n  \
    rolekeeper dead-letters list --reason unknown_type\n  \
    rolekeeper dead-letters show APP_EVENTS 4711\n  \
    rolekeeper dead-letters requeue --reason unknown_type --why \"release 0.2 reads them\"")]
pub(super) struct DeadLettersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the dead letters that wait, in the order of stream and sequence
    List(list::ListArgs),
    /// Show a dead letter with the stored part of its message
    Show(show::ShowArgs),
    /// Fold the messages of dead letters again; each counts exactly once, however often this is repeated
    Requeue(Box<requeue::RequeueArgs>),
    /// Mark dead letters as discarded: they stay visible with `list --all` and do not count
    Discard(discard::DiscardArgs),
}

pub(super) async fn run(args: DeadLettersArgs) -> Result<ExitCode> {
    match args.action {
        Action::List(args) => list::run(args).await?,
        Action::Show(args) => show::run(args).await?,
        Action::Requeue(args) => return requeue::run(*args).await,
        Action::Discard(args) => return discard::run(args).await,
    }
    Ok(ExitCode::SUCCESS)
}
