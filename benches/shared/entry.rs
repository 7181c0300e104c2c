//! The start of a bench.
//!
//! Owns the distinction between a bench and a test run.

use std::process::ExitCode;

/// Runs the bench of this name if cargo runs it as a bench; `cargo test --all-targets` does not.
#[tokio::main]
pub(crate) async fn run(
    name: &str,
    bench: impl AsyncFnOnce() -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("this is a measurement of minutes and not a test: run it with `cargo bench --bench {name}`");
        return Ok(ExitCode::SUCCESS);
    }
    bench().await
}
