//! The servers and the tenant are behind the feature `sandbox`, which `cargo bench` alone does not turn on.
//!
//! Owns running the same bench once more with it.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

/// Runs the bench of this name once more, with the same arguments.
pub(crate) fn with_sandbox(name: &str) -> anyhow::Result<ExitCode> {
    eprintln!("once more with --features sandbox");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut again = Command::new(cargo);
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
