//! `rolekeeper doctor`: checks all that a worker needs, before it starts or while it runs.
//!
//! Owns the list of the checks. Must never change anything: it reads, and calls what a worker calls at its start.

mod auth0;
mod finding;
mod nats;
mod postgres;
mod webhook;

use std::process::ExitCode;

use clap::Args;

use crate::config::{DoctorConfig, DoctorSettings};
use finding::{Finding, report};

/// Checks configuration, Postgres, NATS, Auth0 and webhook, with the settings of a worker. It changes nothing and makes all
/// checks, each in 10 seconds at most. One line each: `ok`, `warning` (a risk), `fault` with the remedy, or `unchecked`. Exit
/// code 0 without faults, 1 if a check could not be made, 2 with faults.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolekeeper doctor --webhook-url https://roles.example.com/auth0/logs")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    settings: DoctorSettings,
    /// One JSON object per line: `check`, `state`, `text`
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: DoctorArgs) -> ExitCode {
    let config = args.settings.checked();
    let (postgres, nats, auth0, webhook) = tokio::join!(
        postgres::check(&config),
        nats::check(&config),
        auth0::check(&config),
        webhook::check(&config)
    );
    let all = [configuration(&config), postgres, nats, auth0, webhook];
    report(&all.concat(), args.json)
}

fn configuration(config: &DoctorConfig) -> Vec<Finding> {
    let name = "configuration";
    if config.faults.is_empty() {
        return vec![Finding::ok(name, "every setting has a valid value")];
    }
    let faults = config.faults.iter();
    faults.map(|fault| Finding::fault(name, fault)).collect()
}
