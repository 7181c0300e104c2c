//! How a bench is begun.
//!
//! Owns telling a bench that is run as one from a test run, and running it once more with the feature `sandbox`: the servers and the
//! tenant are behind it, and `cargo bench` alone does not turn it on.

#[cfg(not(feature = "sandbox"))]
use std::process::ExitCode;

#[cfg(not(feature = "sandbox"))]
use anyhow::Context as _;

/// Whether cargo runs the bench of this name as one; `cargo test --all-targets` does not say so.
pub(crate) fn is_asked_for(name: &str) -> bool {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("a measurement of minutes, no test: run it by `cargo bench --bench {name}`");
    }
    asked
}

/// Runs the bench of this name once more, with the same arguments.
#[cfg(not(feature = "sandbox"))]
pub(crate) fn with_sandbox(name: &str) -> anyhow::Result<ExitCode> {
    eprintln!("once more with --features sandbox");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut again = std::process::Command::new(cargo);
    again.args(["bench", "--features", "sandbox", "--bench", name, "--"]);
    let arguments = std::env::args_os().skip(1);
    again.args(arguments.filter(|argument| argument != "--bench"));
    let status = again
        .status()
        .with_context(|| format!("cannot run cargo; run `cargo bench --features sandbox --bench {name}`"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
