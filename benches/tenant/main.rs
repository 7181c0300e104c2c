//! `cargo bench --bench tenant`: how gently rolekeeper treats a tenant, side by side with a plain client.
//!
//! Owns what is measured, in which order, and the exit code: 0 only if every goal is reached. Private servers, a
//! stand-in tenant and the real worker, all on loopback. Must never take a figure from the worker: calls are counted
//! in the tenant's own log, roles are read at the tenant.

#[cfg(not(feature = "sandbox"))]
#[path = "../shared/again.rs"]
mod again;
#[cfg(feature = "sandbox")]
mod counts;
#[cfg(feature = "sandbox")]
mod drain;
#[cfg(feature = "sandbox")]
mod log;
#[cfg(feature = "sandbox")]
mod other_client;
#[cfg(feature = "sandbox")]
mod plain;
#[cfg(feature = "sandbox")]
mod run;
#[cfg(feature = "sandbox")]
mod table;
#[cfg(feature = "sandbox")]
mod world;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    // cargo says this to a bench it runs as one; `cargo test --all-targets` does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("a measurement of minutes, no test: run it by `cargo bench --bench tenant`");
        return Ok(ExitCode::SUCCESS);
    }
    bench()
}

#[cfg(feature = "sandbox")]
#[tokio::main]
async fn bench() -> anyhow::Result<ExitCode> {
    run::all(clap::Parser::parse()).await
}

#[cfg(not(feature = "sandbox"))]
fn bench() -> anyhow::Result<ExitCode> {
    again::with_sandbox("tenant")
}
