//! Placeholder.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Sandbox.
#[derive(Args, Debug)]
pub(super) struct SandboxArgs {}

pub(super) async fn run(_args: SandboxArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
