//! A private `nats-server` with `JetStream`.
//!
//! Owns its process, port and store. The port and the store stay the same across restarts, so that clients
//! reconnect and streams survive. Must never listen beyond loopback.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::folder::{self, Folder};
use super::process::Process;
use super::{POLL_INTERVAL, folder_with, free_port, log_file, search_path, tail};

/// Longest time until the server responds after a start; it reads a large store first.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Longest time for the server to end after SIGTERM or SIGKILL.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Options that differ from `nats-server`'s defaults.
#[derive(Clone, Debug, Default)]
pub struct NatsOptions {
    /// Largest message in bytes; `None` leaves the server's default of 1 MiB.
    pub max_payload: Option<u32>,
    /// Largest size of all streams on disk in bytes; `None` leaves the server's default.
    pub max_file_store: Option<u64>,
    /// The program to run; `None` takes the one that [`Nats::start`] names.
    pub binary: Option<PathBuf>,
    /// Most messages of one pull request; `None` leaves the server's default, which is no limit.
    pub max_request_batch: Option<u32>,
    /// The domain of its JetStream; `None` for none.
    pub domain: Option<String>,
    /// Further lines of its configuration, such as its users.
    pub more: String,
    /// A complete configuration, with these variables besides `NATS_SERVER_NAME`, `NATS_HOST`, `NATS_PORT` and
    /// `NATS_STORE_DIR`; the options above have no effect then.
    pub config: Option<(PathBuf, Vec<(String, String)>)>,
}

/// A running (or stopped, or killed) `nats-server`. On drop, it ends and its store is removed.
#[derive(Debug)]
pub struct Nats {
    // The folder ends the child, which is then reaped, see `Drop`.
    process: Option<Process>,
    binary: PathBuf,
    name: String,
    port: u16,
    version: String,
    folder: Option<Folder>,
    store: PathBuf,
    /// Path of its configuration, and the variables in it.
    config: PathBuf,
    env: Vec<(String, String)>,
}

impl Nats {
    /// Starts a server with the defaults and returns when it responds with `JetStream` enabled.
    ///
    /// The binary is `NATS_SERVER_BIN`, else the one that `scripts/install.sh` puts into `.tools/`, else
    /// `nats-server` on the `PATH` or in `/usr/sbin` if it is 2.10 or newer.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(NatsOptions::default()).await
    }

    /// As [`Self::start`], with options.
    pub async fn start_with(options: NatsOptions) -> anyhow::Result<Self> {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => find_binary()?,
        };
        let folder = Folder::new("nats")?;
        let store = folder.path().join("store");
        // The name distinguishes our server from another process on the same port.
        let name = format!("sandbox-{}", uuid::Uuid::now_v7());
        let mut nats = Self {
            process: None,
            binary,
            name,
            port: 0,
            version: String::new(),
            config: folder.path().join("config"),
            folder: Some(folder),
            store,
            env: vec![],
        };
        let mut tries = 0;
        loop {
            nats.port = free_port()?;
            nats.configure(&options)?;
            match nats.start_again().await {
                Ok(()) => return Ok(nats),
                // Another process took the port after our check and before the server's start.
                Err(error) if tries < 5 && error.to_string().contains("address already in use") => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns `nats://127.0.0.1:<port>`, the same for the server's whole life.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the server's version as it reports it, such as `2.15.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns its process id, or `None` while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Returns `JetStream`'s store; streams are in `jetstream/$G/streams/<name>` below it.
    #[must_use]
    pub fn store_dir(&self) -> &Path {
        &self.store
    }

    /// Sends SIGKILL, and waits for its end. Data that was not yet passed to the kernel is lost.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGKILL).await
    }

    /// Sends SIGTERM, and waits for its end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGTERM).await
    }

    /// Starts it again on the same port and store; returns when it responds. An error if it still runs.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.is_none(), "nats-server is already running");
        let folder = self.folder()?;
        let log = folder.path().join("log");
        let mut command = folder.command("nats", &self.binary, "KILL");
        command.arg("--config").arg(&self.config);
        command.envs(self.env.iter().cloned());
        command.stdout(log_file(&log)?).stderr(log_file(&log)?);
        let mut process = folder::spawn(command)?;
        let deadline = Instant::now() + START_WITHIN;
        while process.ended()?.is_none() {
            if let Some(version) = self.answers().await {
                self.version = version;
                self.process = Some(process);
                return Ok(());
            }
            if Instant::now() >= deadline {
                process.signal(Signal::SIGKILL)?;
                process.wait(STOP_WITHIN).await?;
                anyhow::bail!(
                    "nats-server did not respond within {START_WITHIN:?}:\n{}",
                    tail(&log, 20)
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        anyhow::bail!("nats-server ended at its start:\n{}", tail(&log, 20))
    }

    /// Replaces its configuration and makes it reload that while it runs. The time of the reload is not known here.
    pub fn reload(&mut self, options: &NatsOptions) -> anyhow::Result<()> {
        self.configure(options)?;
        let process = self.process.as_mut().context("nats-server does not run")?;
        process.signal(Signal::SIGHUP)
    }

    async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process {
            process.signal(signal)?;
            process.wait(STOP_WITHIN).await?;
            self.process = None;
        }
        Ok(())
    }

    /// Returns the version, when our own server greets with `JetStream` enabled.
    async fn answers(&self) -> Option<String> {
        let greeting = timeout(Duration::from_secs(1), async {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await.ok()?;
            Some(line)
        });
        let greeting = greeting.await.ok()??;
        let info: serde_json::Value = serde_json::from_str(greeting.strip_prefix("INFO ")?).ok()?;
        let ours = info["server_name"] == self.name.as_str() && info["jetstream"] == true;
        ours.then(|| info["version"].as_str().map(str::to_owned))?
    }

    fn configure(&mut self, options: &NatsOptions) -> anyhow::Result<()> {
        let store = self
            .store
            .to_str()
            .context("the temporary folder's name is not UTF-8")?;
        if let Some((config, variables)) = &options.config {
            let own = [
                ("NATS_SERVER_NAME", self.name.clone()),
                ("NATS_HOST", "127.0.0.1".to_owned()),
                ("NATS_PORT", self.port.to_string()),
                ("NATS_STORE_DIR", store.to_owned()),
            ];
            let own = own.map(|(name, value)| (name.to_owned(), value));
            self.env = own.into_iter().chain(variables.iter().cloned()).collect();
            self.config.clone_from(config);
            return Ok(());
        }
        let mut text = format!(
            "server_name: \"{}\"\nlisten: \"127.0.0.1:{}\"\n",
            self.name, self.port
        );
        if let Some(bytes) = options.max_payload {
            // The server refuses a pending limit below the payload limit; its default is 64 MiB.
            let pending = u64::from(bytes).max(64 << 20);
            let _ = writeln!(text, "max_payload: {bytes}\nmax_pending: {pending}");
        }
        let _ = writeln!(text, "jetstream {{\n  store_dir: \"{store}\"");
        if let Some(bytes) = options.max_file_store {
            let _ = writeln!(text, "  max_file_store: {bytes}");
        }
        if let Some(most) = options.max_request_batch {
            let _ = writeln!(text, "  limits {{ max_request_batch: {most} }}");
        }
        if let Some(domain) = &options.domain {
            let _ = writeln!(text, "  domain: {domain}");
        }
        text.push_str("}\n");
        text.push_str(&options.more);
        std::fs::write(&self.config, text).context("cannot write nats-server's config")
    }

    fn folder(&self) -> anyhow::Result<&Folder> {
        self.folder.as_ref().context("the server was dropped")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        drop(self.folder.take());
        drop(self.process.take());
    }
}

/// Returns the oldest supported `nats-server`: `NATS_SERVER_OLDEST_BIN`, else the one that `scripts/install.sh test` puts
/// into `.tools/`; none where it is not installed.
#[must_use]
pub fn oldest_nats_server() -> Option<PathBuf> {
    chosen("NATS_SERVER_OLDEST_BIN").or_else(|| installed("nats-oldest"))
}

fn find_binary() -> anyhow::Result<PathBuf> {
    if let Some(binary) = chosen("NATS_SERVER_BIN").or_else(|| installed("nats")) {
        return Ok(binary);
    }
    let on_path = folder_with(search_path(), &["nats-server"]).map(|folder| folder.join("nats-server"));
    on_path.filter(|binary| is_recent(binary)).context(
        "no nats-server 2.10 or newer found: run `scripts/install.sh sandbox`, or set NATS_SERVER_BIN",
    )
}

fn chosen(setting: &str) -> Option<PathBuf> {
    let value = std::env::var_os(setting)?;
    (!value.is_empty()).then(|| value.into())
}

/// Returns the program in a folder of the checkout's `.tools/`.
fn installed(folder: &str) -> Option<PathBuf> {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".tools")
        .join(folder)
        .join("bin/nats-server");
    binary.is_file().then_some(binary)
}

/// Returns whether the program reports a version that rolekeeper supports: it writes `nats-server: v2.15.1`.
fn is_recent(binary: &Path) -> bool {
    let Ok(output) = std::process::Command::new(binary).arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().rsplit_once(" v").map_or("", |(_, version)| version);
    let mut parts = version.split('.').map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (2, 10))
}
