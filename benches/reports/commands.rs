//! One command of an operator, as a process.
//!
//! Owns its time and its peak memory.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
/// Exit codes of a report: without and with differences.
const REPORTED: [i32; 2] = [0, 2];
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The result of a command.
pub(crate) struct Done {
    pub(crate) took: Duration,
    /// As the kernel reported it shortly before the end.
    pub(crate) peak_mib: f64,
    pub(crate) output: Vec<u8>,
}

/// Runs a command with these settings alone.
pub(crate) async fn run(arguments: &[&str], settings: &[(&str, String)]) -> Result<Done> {
    let output = tempfile::tempfile()?;
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(arguments).env_clear().stdout(output.try_clone()?);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    let began = Instant::now();
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id().context("it runs")?);
    let mut peak_mib = 0.0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        peak_mib = peak(&status).unwrap_or(peak_mib);
        sleep(POLL_INTERVAL).await;
    };
    let took = began.elapsed();
    let code = ended.code();
    anyhow::ensure!(
        code.is_some_and(|code| REPORTED.contains(&code)),
        "rolekeeper {}: {ended}",
        arguments.join(" ")
    );
    Ok(Done {
        took,
        peak_mib,
        output: read(output)?,
    })
}

/// The peak of the resident memory so far, in MiB.
fn peak(status: &str) -> Option<f64> {
    let status = std::fs::read_to_string(status).ok()?;
    let mut lines = status.lines();
    let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(peak.trim().parse::<f64>().ok()? / 1024.0)
}

fn read(mut file: std::fs::File) -> Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}
