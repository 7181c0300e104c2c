//! `rolekeeper-tenant`: the stand-in for an Auth0 tenant by itself, for a laptop or CI.
//!
//! Owns the order of a start, the signals and the exit code. Must never listen beyond loopback, say that it is ready before
//! every user is there, or leave anything behind.

mod args;
mod plan;
mod report;
mod users;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use rolekeeper_sandbox::tenant::Tenant;
use tokio::signal::unix::{SignalKind, signal};

use args::TenantArgs;

// One thread: no request is served until `run` waits for a signal, and by then every user is there.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(TenantArgs::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rolekeeper-tenant: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: TenantArgs) -> Result<()> {
    // The handlers are set before anything starts, so that a signal at any time ends it in order.
    let (mut stop, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let users = args.users.as_deref().map_or_else(|| Ok(vec![]), users::read)?;
    let count = users.len();
    let tenant = Tenant::start(args.options())
        .await
        .map_err(|error| not_started(error, args.port))?;
    if let Some(file) = &args.users {
        users::load(&tenant, file, users)?;
    }
    if let Some(stream) = args.log_stream() {
        tenant.stream_logs(stream).context("--logs-to")?;
    }
    io::stdout()
        .write_all(report::report(&args, &tenant, count).as_bytes())
        .context("cannot print the addresses")?;
    tokio::select! {
        _ = stop.recv() => {}
        _ = end.recv() => {}
    }
    Ok(())
}

/// Names the port where it is what keeps the tenant from starting.
fn not_started(error: anyhow::Error, port: u16) -> anyhow::Error {
    let refused = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let problem = match refused {
        Some(io::ErrorKind::AddrInUse) => "another process listens on this port",
        Some(io::ErrorKind::PermissionDenied) => "this user may not listen on this port",
        _ => return error,
    };
    anyhow!("--port {port}: {problem}; name another one, or 0 for any free one")
}
