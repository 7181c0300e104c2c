//! The start of a bench.
//!
//! Owns the distinction between a bench and a test run, and the second run with the feature `sandbox`: the servers and the
//! tenant need this feature, and `cargo bench` alone does not enable it.

#[cfg(not(feature = "sandbox"))]
use std::process::ExitCode;

#[cfg(not(feature = "sandbox"))]
use anyhow::Context as _;

/// Returns whether cargo runs the bench of this name as a bench; `cargo test --all-targets` does not.
pub(crate) fn is_asked_for(name: &str) -> bool {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("this is a measurement of minutes and not a test: run it with `cargo bench --bench {name}`");
    }
    asked
}

/// Runs the bench of this name again, with the same arguments.
#[cfg(not(feature = "sandbox"))]
pub(crate) fn with_sandbox(name: &str) -> anyhow::Result<ExitCode> {
    eprintln!("running again with --features sandbox");
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
