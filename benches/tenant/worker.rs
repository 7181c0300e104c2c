//! The real worker as a process of its own.
//!
//! Owns starting and ending it. Must never hand it anything but settings in its environment.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use rolekeeper::sandbox::servers::Process;
use rolekeeper::sandbox::servers::folder::{self, Folder};
use rolekeeper::sandbox::traffic::http;
use tokio::time::{Instant, sleep};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
const LOOK_EVERY: Duration = Duration::from_millis(20);
const START_WITHIN: Duration = Duration::from_mins(1);
/// Longer than the worker's own grace period.
const STOP_WITHIN: Duration = Duration::from_secs(40);

/// `rolekeeper serve`.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Where the log stream delivers.
    pub(crate) webhook: String,
    // Dropped in this order: the folder ends the process, which is then reaped.
    folder: Folder,
    process: Process,
}

impl Worker {
    /// Prepares database and streams, starts the worker and returns once it is ready.
    pub(crate) async fn start(settings: &[(&str, String)]) -> Result<Self> {
        let folder = Folder::new("worker")?;
        let status = run(&folder, "migrate", settings)?.wait(START_WITHIN).await?;
        anyhow::ensure!(status.success(), "rolekeeper migrate failed:\n{}", log(&folder));
        let process = run(&folder, "serve", settings)?;
        let mut worker = Self {
            webhook: String::new(),
            folder,
            process,
        };
        let http = http::Worker::new()?;
        let deadline = Instant::now() + START_WITHIN;
        loop {
            worker.still_runs()?;
            let log = log(&worker.folder);
            if let (Some(public), Some(ops)) = (address(&log, "LISTEN"), address(&log, "OPS_LISTEN"))
                && http.is_ok(&format!("http://{ops}/readyz")).await
            {
                worker.webhook = format!("http://{public}/auth0/logs");
                return Ok(worker);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the worker was not ready in time:\n{log}"
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// An error with the end of its log once it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.process.ended()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the worker ended by itself: {status}\n{}", self.log_tail()),
        }
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.wait(STOP_WITHIN).await?;
        anyhow::ensure!(status.success(), "the worker stopped with {status}");
        Ok(())
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let log = log(&self.folder);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn run(folder: &Folder, command: &str, settings: &[(&str, String)]) -> Result<Process> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))?;
    let mut process = folder.command(command, Path::new(PROGRAM), "TERM");
    process.arg(command).env_clear();
    process.envs(settings.iter().map(|(name, value)| (name, value)));
    process.env("PATH", std::env::var_os("PATH").context("no PATH")?);
    process.stdout(log.try_clone()?).stderr(log);
    folder::spawn(process)
}

fn log(folder: &Folder) -> String {
    fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

/// The address in a line such as `listening setting="LISTEN" address=127.0.0.1:8080`.
fn address(log: &str, setting: &str) -> Option<String> {
    let named = format!("setting=\"{setting}\" address=");
    let after = log.lines().find_map(|line| line.split_once(&named))?.1;
    after.split_whitespace().next().map(str::to_owned)
}
