//! The commands.
//!
//! Owns what a person types and reads. Must never decide what a stage decides.

mod accept_promoted;
mod accept_stream;
mod acts;
mod adopt;
mod announce;
mod brake;
mod erase;
mod export;
mod forgive;
mod limits;
mod migrate;
mod openapi;
mod parked;
mod pause;
mod requeue;
mod rules;
mod skip;
mod tenant;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{LogArgs, MigrateArgs, ServeArgs, without_empty_variables};
use crate::{app, telemetry};

/// Longest wait for what runs on a thread of its own, once the command has ended.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

/// Keeps roles in Auth0 in step with what users do.
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
    /// Bring database and streams to what this version needs
    Migrate(MigrateArgs),
    /// Take over users who hold a role already, so that it can be taken from them
    Adopt(adopt::AdoptArgs),
    /// Show the changes of roles that are held, and release or drop them
    Brake(brake::BrakeArgs),
    /// Show the rules in force, or put others in force
    Rules(rules::RulesArgs),
    /// Show what may be written at Auth0 and how much, or change it
    Limits(limits::LimitsArgs),
    /// Stop writing roles; counting goes on
    Pause(pause::PauseArgs),
    /// Go on writing roles
    Resume(pause::ResumeArgs),
    /// Accept that events of a stream are lost, and go on behind the loss
    AcceptStream(accept_stream::AcceptArgs),
    /// Make the message right behind a stream's cursor a dead letter, where its fold cannot get past it
    Skip(skip::SkipArgs),
    /// Send changes of roles again that the stream ROLE_CHANGES lost
    Announce(announce::AnnounceArgs),
    /// Show users nobody looks at until a person has acted
    Parked(parked::ParkedArgs),
    /// Make parked users due again, now
    Requeue(requeue::RequeueArgs),
    /// Show the tenant that the database belongs to, or give the database to another one
    Tenant(tenant::TenantArgs),
    /// Set playlists to 0 of which more plays were taken back than were counted
    Forgive(forgive::ForgiveArgs),
    /// Show what operators did, and why
    Acts(acts::ActsArgs),
    /// Print everything that is kept about a user
    Export(export::ExportArgs),
    /// Erase a user for good: all that is kept, and all that comes later
    Erase(erase::EraseArgs),
    /// Print the description of the data API (OpenAPI 3.1)
    Openapi(openapi::OpenapiArgs),
}

/// Runs the command given on the command line.
#[must_use]
pub fn main() -> ExitCode {
    let command = without_empty_variables(Cli::command());
    let cli = match Cli::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(fault) => fault.exit(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rolekeeper: {error:#}");
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
            Command::Brake(args) => brake::run(args).await?,
            Command::Rules(args) => rules::run(args).await?,
            Command::Limits(args) => limits::run(args).await?,
            Command::Pause(args) => pause::pause(args).await?,
            Command::Resume(args) => pause::resume(args).await?,
            Command::AcceptStream(args) => accept_stream::run(args).await?,
            Command::Skip(args) => skip::run(args).await?,
            Command::Announce(args) => announce::run(args).await?,
            Command::Parked(args) => parked::run(args).await?,
            Command::Requeue(args) => return requeue::run(args).await,
            Command::Tenant(args) => tenant::run(args).await?,
            Command::Forgive(args) => forgive::run(args).await?,
            Command::Acts(args) => acts::run(args).await?,
            Command::Export(args) => return export::run(args).await,
            Command::Erase(args) => erase::run(args).await?,
            Command::Openapi(args) => openapi::run(&args)?,
        }
        Ok(ExitCode::SUCCESS)
    });
    // A file that is being read may never return.
    runtime.shutdown_timeout(SHUTDOWN_WITHIN);
    ended
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_defined() {
        super::Cli::command().debug_assert();
    }
}
