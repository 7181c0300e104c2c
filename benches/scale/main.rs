//! `cargo bench --bench scale`: the cost of the worker with few users and with many.
//!
//! Owns the measurements and their order. Private servers, a stand-in tenant and the real worker for each size run on
//! loopback and on the same cores.

#[cfg(feature = "sandbox")]
mod cost;
#[path = "../shared/entry.rs"]
mod entry;
#[cfg(feature = "sandbox")]
#[path = "../shared/postgres.rs"]
mod postgres;
#[cfg(feature = "sandbox")]
#[path = "../shared/process.rs"]
mod process;
#[cfg(feature = "sandbox")]
mod run;
#[cfg(feature = "sandbox")]
mod seed;
#[cfg(feature = "sandbox")]
#[path = "../shared/table.rs"]
#[expect(dead_code, reason = "here every goal is a most")]
mod table;
#[cfg(feature = "sandbox")]
mod world;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    if entry::is_asked_for("scale") {
        bench()
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(feature = "sandbox")]
#[tokio::main]
async fn bench() -> anyhow::Result<ExitCode> {
    run::all(clap::Parser::parse()).await
}

#[cfg(not(feature = "sandbox"))]
fn bench() -> anyhow::Result<ExitCode> {
    entry::with_sandbox("scale")
}
