//! `cargo bench --bench scale`: what the worker costs beside few users and beside many.
//!
//! Owns what is measured and in which order. Private servers, a stand-in tenant and the real worker for each size, all on
//! loopback and on the same cores.

#[cfg(not(feature = "sandbox"))]
#[path = "../shared/again.rs"]
mod again;
#[cfg(feature = "sandbox")]
mod cost;
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
    // cargo says this to a bench it runs as one; `cargo test --all-targets` does not.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("a measurement of minutes, no test: run it by `cargo bench --bench scale`");
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
    again::with_sandbox("scale")
}
