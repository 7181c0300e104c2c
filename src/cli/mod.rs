//! The commands.
//!
//! Owns the command line and its output. Must never make a decision that belongs to a stage.

mod accept_promoted;
mod accept_stream;
mod acts;
mod adopt;
mod announce;
mod apply;
mod ask;
mod bad_lines;
mod brake;
mod brake_release;
mod changes;
mod completions;
mod dead_letters;
mod discover;
mod doctor;
mod erase;
mod evidence;
mod examples;
mod explain;
mod export;
mod forgive;
mod id_file;
mod import;
mod interrupt;
mod limits;
mod migrate;
mod move_person;
mod openapi;
mod output;
mod parked;
mod pause;
mod pin;
mod pipe;
mod plan;
mod plan_file;
mod progress;
mod publish;
mod queue;
mod readmit;
mod rebuild;
mod requeue;
mod rules;
mod simulate;
mod skip;
mod table;
mod tenant;
mod undo;
mod unpin;
mod verify;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::output::remark;
use crate::config::{LogArgs, MigrateArgs, ServeArgs, without_empty_variables};
use crate::{app, telemetry};

/// Longest wait for blocking threads after the command has ended.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

/// Assigns roles in Auth0 from the activity of users.
#[derive(Debug, Parser)]
#[command(name = "rolekeeper", version, about, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a worker: webhook, fold, reconcile, announce
    Serve(Box<ServeArgs>),
    /// Bring database and streams to the state that this version needs
    Migrate(MigrateArgs),
    /// Adopt users who already hold a role, so that rolekeeper may revoke it
    Adopt(adopt::AdoptArgs),
    /// Find all users at Auth0 who hold a managed role, and note them as unadopted holders
    Discover(Box<discover::DiscoverArgs>),
    /// Check configuration, Postgres, NATS, Auth0 and webhook, and show the remedy of each fault
    Doctor(Box<doctor::DoctorArgs>),
    /// Show each stage with its rate, what waits before it, and what stops it
    Pipe(Box<pipe::PipeArgs>),
    /// Show the decided grants and revokes of the last hour, day or week
    Changes(changes::ChangesArgs),
    /// Show the work queue: the users whose attempts are next, and all users in it
    Queue(queue::QueueArgs),
    /// Show the role changes that are held, and release or drop them
    Brake(brake::BrakeArgs),
    /// Show who would gain or lose a role under the rules in force, and why
    Plan(Box<plan::PlanArgs>),
    /// Do what a plan says: put its rules in force, and enqueue its users
    Apply(apply::ApplyArgs),
    /// Show how to reverse a change of rules, a release of a brake, a role change or a plan
    Undo(undo::UndoArgs),
    /// Show the rules in force, what others would change, or put others in force
    Rules(rules::RulesArgs),
    /// Replay the kept events under proposed rules: who would cross a threshold, and when
    Simulate(Box<simulate::SimulateArgs>),
    /// Compare counts with the stream, and roles with Auth0
    Verify(Box<verify::VerifyArgs>),
    /// Count again from the stream, and correct the counts that differ
    Rebuild(Box<rebuild::RebuildArgs>),
    /// Show or change the limits of writes at Auth0
    Limits(limits::LimitsArgs),
    /// Decide a role of one user in place of the rules: the user holds it, or does not
    Pin(pin::PinArgs),
    /// Remove a pin: the rules decide again
    Unpin(unpin::UnpinArgs),
    /// Show the pins
    Pins(pin::PinsArgs),
    /// Stop writing roles; counting continues
    Pause(pause::PauseArgs),
    /// Continue writing roles after a pause
    Resume(pause::ResumeArgs),
    /// Accept that events of a stream are lost, and continue after the loss
    AcceptStream(accept_stream::AcceptArgs),
    /// Make the message directly after a stream's cursor a dead letter, where the fold cannot get past it
    Skip(skip::SkipArgs),
    /// Show the messages that could not be folded, fold them again, or discard them
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Send the events of a file to the stream APP_EVENTS
    Publish(Box<publish::PublishArgs>),
    /// Count a file of past plays or counts, and show who would gain or lose a role
    Import(Box<import::ImportArgs>),
    /// Send role changes again that the stream ROLE_CHANGES lost
    Announce(announce::AnnounceArgs),
    /// Show parked users: users who wait for the operator
    Parked(parked::ParkedArgs),
    /// Return parked users to the work queue
    Requeue(requeue::RequeueArgs),
    /// Show the tenant that the database belongs to, or move the database to another tenant
    Tenant(tenant::TenantArgs),
    /// Set playlists to 0 that have more retracted than counted plays
    Forgive(forgive::ForgiveArgs),
    /// Explain why a user holds a role, or does not
    Explain(Box<explain::ExplainArgs>),
    /// Show the completed role changes of a period and check their chain of hashes, for an auditor
    Evidence(Box<evidence::EvidenceArgs>),
    /// Show the acts of operators and their reasons
    Acts(acts::ActsArgs),
    /// Move a person to another Auth0 id: the account was made again, or its connection was migrated
    Move(move_person::MoveArgs),
    /// Print all stored data about a user
    Export(export::ExportArgs),
    /// Erase a user permanently: all stored data, and all data that arrives later
    Erase(erase::EraseArgs),
    /// Readmit an erased user who has come back
    Readmit(readmit::ReadmitArgs),
    /// Print the description of the data API (OpenAPI 3.1)
    Openapi(openapi::OpenapiArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

/// The command line, with all commands; also for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    examples::added(Cli::command(), "")
}

/// Runs the command given on the command line.
#[must_use]
pub fn main() -> ExitCode {
    let command = without_empty_variables(command());
    let parsed = command.try_get_matches();
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(fault) => {
            // The help is no error. clap's own code for one, 2, means differences here.
            let _ = fault.print();
            return ExitCode::from(u8::from(fault.use_stderr()));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            remark!("rolekeeper: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    telemetry::start(&cli.log.log_format, &cli.log.log_level).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => app::serve(args.checked()?).await?,
            Command::Migrate(args) => migrate::run(&args).await?,
            Command::Adopt(args) => adopt::run(args).await?,
            Command::Discover(args) => discover::run(*args).await?,
            Command::Doctor(args) => return Ok(Box::pin(doctor::run(*args)).await),
            Command::Pipe(args) => pipe::run(*args).await?,
            Command::Changes(args) => changes::run(args).await?,
            Command::Queue(args) => queue::run(args).await?,
            Command::Brake(args) => brake::run(args).await?,
            Command::Plan(args) => return plan::run(*args).await,
            Command::Apply(args) => return apply::run(args).await,
            Command::Undo(args) => return Box::pin(undo::run(args)).await,
            Command::Rules(args) => return rules::run(args).await,
            Command::Simulate(args) => Box::pin(simulate::run(*args)).await?,
            Command::Verify(args) => return Box::pin(verify::run(*args)).await,
            Command::Rebuild(args) => return Box::pin(rebuild::run(*args)).await,
            Command::Limits(args) => limits::run(args).await?,
            Command::Pin(args) => pin::pin(args).await?,
            Command::Unpin(args) => return unpin::run(args).await,
            Command::Pins(args) => pin::pins(args).await?,
            Command::Pause(args) => pause::pause(args).await?,
            Command::Resume(args) => pause::resume(args).await?,
            Command::AcceptStream(args) => accept_stream::run(args).await?,
            Command::Skip(args) => skip::run(args).await?,
            Command::DeadLetters(args) => return dead_letters::run(args).await,
            Command::Publish(args) => return publish::run(*args).await,
            Command::Import(args) => return Box::pin(import::run(*args)).await,
            Command::Announce(args) => announce::run(args).await?,
            Command::Parked(args) => parked::run(args).await?,
            Command::Requeue(args) => return requeue::run(args).await,
            Command::Tenant(args) => tenant::run(args).await?,
            Command::Forgive(args) => forgive::run(args).await?,
            Command::Explain(args) => explain::run(*args).await?,
            Command::Evidence(args) => return evidence::run(*args).await,
            Command::Acts(args) => acts::run(args).await?,
            Command::Move(args) => move_person::run(args).await?,
            Command::Export(args) => return export::run(args).await,
            Command::Erase(args) => erase::run(args).await?,
            Command::Readmit(args) => readmit::run(args).await?,
            Command::Openapi(args) => openapi::run(&args),
            Command::Completions(args) => completions::run(&args, command()),
        }
        Ok(ExitCode::SUCCESS)
    });
    // A blocking read of a file may never return.
    runtime.shutdown_timeout(SHUTDOWN_WITHIN);
    ended
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_defined() {
        super::command().debug_assert();
    }
}
