//! The real worker as a separate process.
//!
//! Owns its start and end. Must never give it any input except settings in its environment.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::servers::Process;
use super::servers::folder::{self, Folder};
use super::traffic::http;

const POLL_INTERVAL: Duration = Duration::from_millis(20);
const START_WITHIN: Duration = Duration::from_mins(1);
/// Longest wait for the worker's end; longer than its own grace period.
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// Lines at the end of the log that an error shows.
const LOG_LINES: usize = 30;

/// A process of `rolekeeper serve`.
#[derive(Debug)]
pub struct Worker {
    // The fields are dropped in this order: the folder ends the process, which is then reaped.
    folder: Folder,
    process: Process,
}

/// Returns the settings of a worker with all stages, on ports that the system chooses: Postgres, NATS, the tenant, its client
/// with its secret, and the token of its log stream.
#[must_use]
pub fn settings(
    database_url: &str,
    nats_url: &str,
    domain: &str,
    (client, secret): (&str, &str),
    log_stream_token: &str,
) -> Vec<(&'static str, String)> {
    [
        ("DATABASE_URL", database_url),
        ("NATS_URL", nats_url),
        ("AUTH0_DOMAIN", domain),
        ("AUTH0_CLIENT_ID", client),
        ("AUTH0_CLIENT_SECRET", secret),
        ("LOG_STREAM_TOKEN", log_stream_token),
        ("LISTEN", "127.0.0.1:0"),
        ("OPS_LISTEN", "127.0.0.1:0"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// Settings of a worker that only tighten a limit of the database: the limit is set to the same value, so that they take
/// effect.
const LIMITS: [(&str, &str); 5] = [
    ("AUTH0_RESERVE", "reserve"),
    ("BRAKE_REVOKES", "brake_revokes"),
    ("BRAKE_REVOKES_SHARE", "brake_revokes_share"),
    ("BRAKE_GRANTS", "brake_grants"),
    ("BRAKE_GRANTS_SHARE", "brake_grants_share"),
];
/// Default number of users who may lose a role in an hour: more than any run of the sandbox needs.
const REVOKES: &str = "100";

/// Prepares database and streams with `program`: `rolekeeper migrate`, and the limits from the settings.
///
/// # Errors
/// A command failed; the error contains its output.
pub async fn migrate(program: &Path, settings: &[(&str, String)]) -> Result<()> {
    command(program, "migrate", settings).await?;
    limits(program, settings).await
}

/// Runs `program` with a command whose words are separated by single spaces, and waits for its end.
///
/// # Errors
/// The command failed; the error contains its output.
pub async fn command(program: &Path, command: &str, settings: &[(&str, String)]) -> Result<()> {
    let folder = Folder::new("command")?;
    let mut process = run(&folder, program, command, settings)?;
    let status = process.wait(START_WITHIN).await?;
    anyhow::ensure!(status.success(), "rolekeeper {command} failed:\n{}", log(&folder));
    Ok(())
}

/// Sets the limits from the settings, with `program`: `rolekeeper limits set`.
///
/// # Errors
/// The command failed; the error contains its output.
pub async fn limits(program: &Path, settings: &[(&str, String)]) -> Result<()> {
    let folder = Folder::new("limits")?;
    // A binary of an earlier version has no limits in the database.
    let known = run(&folder, program, "limits", settings)?
        .wait(START_WITHIN)
        .await?;
    for (setting, limit) in LIMITS.into_iter().filter(|_| known.success()) {
        let set = settings.iter().find(|(name, _)| *name == setting);
        let value = set.map(|(_, value)| value.as_str());
        let Some(value) = value.or((limit == "brake_revokes").then_some(REVOKES)) else {
            continue;
        };
        let set = format!("limits set {limit} {value} --why sandbox --as sandbox");
        command(program, &set, settings).await?;
    }
    Ok(())
}

impl Worker {
    /// Starts `program` without a wait.
    ///
    /// # Errors
    /// The system refused.
    pub fn spawn(program: &Path, settings: &[(&str, String)]) -> Result<Self> {
        let folder = Folder::new("worker")?;
        let process = run(&folder, program, "serve", settings)?;
        Ok(Self { folder, process })
    }

    /// Waits until the worker is ready.
    ///
    /// # Errors
    /// The worker ended, or was not ready in time; the error contains the end of its log.
    pub async fn ready(&mut self) -> Result<()> {
        let http = http::Worker::new()?;
        let deadline = Instant::now() + START_WITHIN;
        loop {
            self.still_runs()?;
            if let (Some(_), Some(ops)) = (self.address("LISTEN"), self.address("OPS_LISTEN"))
                && http.is_ok(&format!("http://{ops}/readyz")).await
            {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the worker was not ready in time:\n{}",
                self.log_tail()
            );
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the address of a listener, `LISTEN` or `OPS_LISTEN`; none before it listens.
    #[must_use]
    pub fn address(&self, setting: &str) -> Option<String> {
        // A line such as `listening setting="LISTEN" address=127.0.0.1:8080`.
        let named = format!("setting=\"{setting}\" address=");
        let log = log(&self.folder);
        let after = log.lines().find_map(|line| line.split_once(&named))?.1;
        after.split_whitespace().next().map(str::to_owned)
    }

    /// Returns its process id, for the resource usage in `/proc`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns its peak memory so far, in MiB: the kernel's `VmHWM`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn peak_memory_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        let kib: f64 = peak.context("the worker is gone")?.trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Checks that it runs.
    ///
    /// # Errors
    /// The process has ended; the error contains the end of its log.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the worker ended unexpectedly: {status}\n{}", self.log_tail()),
        }
    }

    /// Returns how it ended; none while it runs.
    ///
    /// # Errors
    /// The system does not report it.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// Sends it the signal to stop, as a service manager does, and waits for its end.
    ///
    /// # Errors
    /// The worker did not stop in time, or with an error.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.end(STOP_WITHIN).await?;
        anyhow::ensure!(status.success(), "the worker stopped with {status}");
        Ok(())
    }

    /// The same, with the longest wait; returns how it ended.
    ///
    /// # Errors
    /// The worker did not stop in time.
    pub async fn end(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.signal(Signal::SIGTERM)?;
        self.process.wait(within).await
    }

    /// Returns the last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = log(&self.folder);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Returns the path of its log, which is removed with this process.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        log_path(&self.folder)
    }
}

fn run(folder: &Folder, program: &Path, command: &str, settings: &[(&str, String)]) -> Result<Process> {
    let log = File::options().create(true).append(true).open(log_path(folder))?;
    // The first word of the command is the name of a file in the folder.
    let name = command.split(' ').next().unwrap_or(command);
    let mut process = folder.command(name, program, "TERM");
    process.args(command.split(' ')).env_clear();
    process.envs(settings.iter().map(|(name, value)| (name, value)));
    process.env("PATH", std::env::var_os("PATH").context("no PATH")?);
    process.stdout(log.try_clone()?).stderr(log);
    folder::spawn(process)
}

fn log(folder: &Folder) -> String {
    fs::read_to_string(log_path(folder)).unwrap_or_default()
}

fn log_path(folder: &Folder) -> PathBuf {
    folder.path().join("log")
}
