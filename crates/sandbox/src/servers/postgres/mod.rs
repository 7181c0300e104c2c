//! A private Postgres cluster.
//!
//! Owns its processes, port and data. Durability keeps the defaults of Postgres (`fsync` and `synchronous_commit` on): tests
//! that kill it rely on durable commits. Only the creation of the empty cluster skips the sync. Must never listen beyond
//! loopback and its own folder.

mod replica;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Instant, timeout};

use super::folder::{self, Folder};
use super::process::Process;
use super::{POLL_INTERVAL, folder_with, free_port, log_file, search_path, tail};

/// Longest time for `initdb`.
const INIT_WITHIN: Duration = Duration::from_mins(2);
/// Longest time until the server responds; after a crash it replays its log first.
const START_WITHIN: Duration = Duration::from_mins(1);
/// Longest time for the server to end.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Most connections, for the workers and pools of many tests that share one server.
const MAX_CONNECTIONS: &str = "300";

/// How a clean stop treats connected clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostgresStop {
    /// Roll back open transactions, disconnect all clients, write a checkpoint.
    Fast,
    /// Disconnect all clients at once, without a checkpoint; the next start replays the log.
    Immediate,
}

/// A running (or stopped, or killed) Postgres. On drop, it ends and its data is removed.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    programs: PathBuf,
    run_as: Option<User>,
    port: u16,
    data: PathBuf,
    folder: Option<Folder>,
}

impl Postgres {
    /// Creates an empty cluster, starts it and returns when it responds.
    ///
    /// The programs come from `POSTGRES_BIN_DIR`, else from the `PATH`, else from the newest
    /// `/usr/lib/postgresql/*/bin`. Started by root, the server runs as the user `postgres`, since it
    /// refuses to run as root.
    pub async fn start() -> anyhow::Result<Self> {
        let mut postgres = Self::without_data("postgres")?;
        postgres.init().await?;
        postgres.start_on_a_free_port().await?;
        Ok(postgres)
    }

    /// A server in a new folder with this name, which has no data yet.
    fn without_data(name: &str) -> anyhow::Result<Self> {
        let programs = find_programs()?;
        let run_as = unprivileged_user()?;
        let folder = Folder::new(name)?;
        if let Some(user) = &run_as {
            folder.give_to(user.uid, user.gid)?;
        }
        Ok(Self {
            process: None,
            programs,
            run_as,
            port: 0,
            data: folder.path().join("data"),
            folder: Some(folder),
        })
    }

    async fn start_on_a_free_port(&mut self) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            self.port = free_port()?;
            match self.start_again().await {
                Ok(()) => return Ok(()),
                // Another process took the port after our check and before the server's start.
                Err(error) if tries < 5 && error.to_string().contains("Address already in use") => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns `postgres://postgres@127.0.0.1:<port>/<database>`, the same for the server's whole life.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id of the postmaster, or `None` while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Returns the cluster's data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Creates an empty database and returns its URL. `name`: `[a-z0-9_]{1,63}`.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<String> {
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        anyhow::ensure!(
            plain && (1..=63).contains(&name.len()),
            "not a plain database name: {name:?}"
        );
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        // template0 accepts no connections, so several databases can be created from it at the same time.
        let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE template0");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(self.url(name))
    }

    /// Stops it cleanly; waits for the server's end.
    pub async fn stop(&mut self, mode: PostgresStop) -> anyhow::Result<()> {
        self.end(match mode {
            PostgresStop::Fast => Signal::SIGINT,
            PostgresStop::Immediate => Signal::SIGQUIT,
        })
        .await
    }

    /// Sends SIGKILL to the postmaster, and waits for its end. Its backends notice and end by themselves.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGKILL).await
    }

    /// Starts it again on the same port and data; returns when it responds. An error if it still runs.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.is_none(), "postgres is already running");
        let deadline = Instant::now() + START_WITHIN;
        loop {
            match self.try_start(deadline).await {
                // After a kill the backends hold the shared memory until they notice it.
                Err(error)
                    if error.to_string().contains("shared memory block") && Instant::now() < deadline =>
                {
                    tokio::time::sleep(POLL_INTERVAL * 5).await;
                }
                other => return other,
            }
        }
    }

    async fn try_start(&mut self, deadline: Instant) -> anyhow::Result<()> {
        let folder = self.folder()?;
        let log = folder.path().join("log");
        let logged_before = std::fs::metadata(&log).map_or(0, |meta| meta.len());
        let mut command = self.command("postgres", "postgres")?;
        command
            .arg("-D")
            .arg(&self.data)
            .args(["-p", &self.port.to_string(), "-k"]);
        command.arg(folder.path());
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            &format!("max_connections={MAX_CONNECTIONS}"),
        ]);
        // Shared memory is in files in the data folder; a killed server would leave files in /dev/shm.
        command.args(["-c", "dynamic_shared_memory_type=mmap"]);
        // After a crash, one sync of the whole file system replaces a sync of each of a thousand files, and is as durable.
        command.args(["-c", "recovery_init_sync_method=syncfs"]);
        command.stdout(log_file(&log)?).stderr(log_file(&log)?);
        let mut process = folder::spawn(command)?;
        while process.ended()?.is_none() {
            if self.answers(process.pid()).await {
                self.process = Some(process);
                return Ok(());
            }
            if Instant::now() >= deadline {
                process.signal(Signal::SIGQUIT)?;
                process.wait(STOP_WITHIN).await?;
                anyhow::bail!(
                    "postgres did not respond within {START_WITHIN:?}:\n{}",
                    tail(&log, 20)
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let from = usize::try_from(logged_before).unwrap_or(0);
        anyhow::bail!(
            "postgres ended at its start:\n{}",
            text.get(from..).unwrap_or(&text)
        )
    }

    /// Returns whether our own server, not another process on the port, accepts connections. Its lock file is read first
    /// (line 1: pid, line 8: status), so that connections do not disturb a long recovery.
    async fn answers(&self, pid: u32) -> bool {
        let lock = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = lock.lines().map(str::trim).collect();
        if lines.first() != Some(&pid.to_string().as_str())
            || !matches!(lines.get(7), Some(&"ready" | &"standby"))
        {
            return false;
        }
        let answer = timeout(Duration::from_secs(2), async {
            PgConnection::connect(&self.url("postgres")).await?.close().await
        });
        matches!(answer.await, Ok(Ok(())))
    }

    async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process {
            process.signal(signal)?;
            process.wait(STOP_WITHIN).await?;
            self.process = None;
        }
        Ok(())
    }

    async fn init(&self) -> anyhow::Result<()> {
        let folder = self.folder()?;
        let log = folder.path().join("initdb.log");
        let mut command = self.command("initdb", "initdb")?;
        command.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        command.arg("-D").arg(&self.data);
        command.stdout(log_file(&log)?).stderr(log_file(&log)?);
        let mut process = folder::spawn(command)?;
        let status = process.wait(INIT_WITHIN).await?;
        anyhow::ensure!(status.success(), "initdb failed:\n{}", tail(&log, 20));
        Ok(())
    }

    /// Returns a command for one of Postgres' programs, with the right user.
    fn command(&self, name: &str, program: &str) -> anyhow::Result<Command> {
        let mut command = self.folder()?.command(name, &self.programs.join(program), "QUIT");
        if let Some(user) = &self.run_as {
            // As root, std also drops the supplementary groups.
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env("HOME", self.folder()?.path());
        }
        Ok(command)
    }

    fn folder(&self) -> anyhow::Result<&Folder> {
        self.folder.as_ref().context("the server was dropped")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.folder.take());
        drop(self.process.take());
    }
}

/// Returns the user of the server, or `None` when this process is not root and the server runs as its user.
fn unprivileged_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").context("cannot look up the user postgres")?;
    Ok(Some(user.context(
        "Postgres refuses to run as root and there is no user postgres to run it as",
    )?))
}

fn find_programs() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("POSTGRES_BIN_DIR") {
        return Ok(folder.into());
    }
    let programs = ["postgres", "initdb"];
    folder_with(search_path(), &programs)
        .or_else(|| folder_with(packaged_versions(Path::new("/usr/lib/postgresql")), &programs))
        .context("Postgres not found: set POSTGRES_BIN_DIR or install it (Debian: postgresql)")
}

/// Returns the folders `<root>/<major>/bin`, newest first.
fn packaged_versions(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    versions.into_iter().map(|(_, folder)| folder).collect()
}
