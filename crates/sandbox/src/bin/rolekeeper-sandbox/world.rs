//! The world: private Postgres, NATS and tenant, and the real worker as a separate process.
//!
//! Owns their start and end, and the settings of the worker. All of them listen on loopback only and use private folders that
//! are removed with this process. Must never give the worker any input that an operator would not give: settings in its
//! environment.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use rolekeeper_sandbox::servers::folder::{self, Folder};
use rolekeeper_sandbox::servers::{Nats, Postgres, Process};
use rolekeeper_sandbox::tenant::{Action, Client, LogStream, RatePlan, Tenant, TenantOptions};
use rolekeeper_sandbox::traffic::http;
use rolekeeper_sandbox::worker;

/// The worker's client at the tenant.
pub(super) const CLIENT: &str = "sandbox-rolekeeper";
/// The client's secret; the tenant exists as long as this process and listens on loopback only.
pub(super) const SECRET: &str = "sandbox-secret-of-rolekeeper";
/// The token that the log stream sends to the webhook.
pub(super) const TOKEN: &str = "sandbox-log-stream-token";
/// The identifier of the app's own API.
pub(super) const AUDIENCE: &str = "https://api.music.example";
/// Prefix of the names of the Action's claims.
pub(super) const NAMESPACE: &str = "https://music.example";
/// The tenant's plan: calls at once, calls per second, and the worker's setting for it.
pub(super) const BURST: f64 = 50.0;
pub(super) const PER_SECOND: f64 = 16.0;
const PLAN: (RatePlan, &str) = (RatePlan::ENTERPRISE, "enterprise");

const LOOK_EVERY: Duration = Duration::from_millis(50);
const START_WITHIN: Duration = Duration::from_mins(1);
/// Longest wait for the worker's end; longer than its own grace period.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// All running parts. On drop, they end in this order.
#[derive(Debug)]
pub(super) struct World {
    pub(super) worker: Worker,
    pub(super) tenant: Tenant,
    pub(super) nats: Nats,
    pub(super) database_url: String,
    _postgres: Postgres,
}

impl World {
    /// Starts servers and tenant, prepares database and streams, starts the worker.
    pub(super) async fn start(seed: u64) -> Result<Self> {
        let (postgres, nats) = tokio::try_join!(Postgres::start(), Nats::start())?;
        let database_url = postgres.create_database("rolekeeper").await?;
        let tenant = Tenant::start(TenantOptions {
            name: "sandbox".into(),
            clients: vec![Client::new(CLIENT, SECRET)],
            plan: PLAN.0,
            latency: Duration::from_millis(30)..=Duration::from_millis(90),
            api: Some(AUDIENCE.into()),
            action: Some(Action {
                namespace: NAMESPACE.into(),
                default_display_name: Some("user".into()),
            }),
            seed,
            ..TenantOptions::default()
        })
        .await?;
        let mut settings = worker::settings(
            &database_url,
            &nats.url(),
            &tenant.base_url(),
            (CLIENT, SECRET),
            TOKEN,
        );
        settings.extend([
            ("AUTH0_PLAN", PLAN.1.to_owned()),
            ("API_AUDIENCE", AUDIENCE.to_owned()),
            ("GRACE_PERIOD_S", "10".to_owned()),
        ]);
        let worker = Worker::start(&settings).await?;
        Ok(Self {
            worker,
            tenant,
            nats,
            database_url,
            _postgres: postgres,
        })
    }

    /// Sends the tenant's log to the webhook from now on: seconds late, out of order, some records twice.
    pub(super) fn stream_logs(&self, seed: u64) -> Result<()> {
        self.tenant.stream_logs(LogStream {
            delay: Duration::from_millis(300)..=Duration::from_secs(4),
            batch: 40,
            twice: 0.1,
            shuffle: true,
            seed,
            ..LogStream::to(&self.worker.webhook, TOKEN)
        })
    }
}

/// A process of `rolekeeper serve`.
#[derive(Debug)]
pub(super) struct Worker {
    /// Address to which the log stream delivers.
    pub(super) webhook: String,
    /// `http://…` of the data API, without a slash at the end.
    pub(super) api: String,
    /// `http://…` of metrics and health, without a slash at the end.
    pub(super) ops: String,
    // The fields are dropped in this order: the folder ends the process, which is then reaped.
    folder: Folder,
    process: Process,
}

impl Worker {
    async fn start(settings: &[(&str, String)]) -> Result<Self> {
        let folder = Folder::new("worker")?;
        let mut migrate = run(&folder, "migrate", settings)?;
        let status = migrate.wait(START_WITHIN).await?;
        let log = log_path(&folder);
        anyhow::ensure!(status.success(), "rolekeeper migrate failed:\n{}", tail(&log, 20));
        worker::limits(&program()?, settings).await?;
        let process = run(&folder, "serve", settings)?;
        let mut worker = Self {
            webhook: String::new(),
            api: String::new(),
            ops: String::new(),
            folder,
            process,
        };
        worker.wait_ready().await?;
        Ok(worker)
    }

    /// Waits until it listens and reports that it is ready.
    async fn wait_ready(&mut self) -> Result<()> {
        let http = http::Worker::new()?;
        let deadline = Instant::now() + START_WITHIN;
        loop {
            self.still_runs()?;
            let log = fs::read_to_string(log_path(&self.folder)).unwrap_or_default();
            if let (Some(public), Some(ops)) = (address(&log, "LISTEN"), address(&log, "OPS_LISTEN")) {
                self.api = format!("http://{public}");
                self.webhook = format!("{}/auth0/logs", self.api);
                self.ops = format!("http://{ops}");
                if http.is_ok(&format!("{}/readyz", self.ops)).await {
                    return Ok(());
                }
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "the worker was not ready within {START_WITHIN:?}:\n{}",
                self.log_tail()
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// Returns an error once it has ended.
    pub(super) fn still_runs(&mut self) -> Result<()> {
        match self.process.ended()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the worker ended unexpectedly: {status}"),
        }
    }

    /// Sends it the signal to stop, as a service manager does, and waits for its end.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus> {
        self.process.signal(Signal::SIGTERM)?;
        self.process.wait(STOP_WITHIN).await
    }

    /// Returns the last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        tail(&log_path(&self.folder), 30)
    }

    /// Returns the path of its log, which is removed with this process.
    pub(super) fn log_path(&self) -> PathBuf {
        log_path(&self.folder)
    }
}

/// Returns the worker's program: `ROLEKEEPER_BIN`, or the one beside this program.
fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("ROLEKEEPER_BIN").filter(|program| !program.is_empty()) {
        return Ok(program.into());
    }
    let program = std::env::current_exe()?.with_file_name("rolekeeper");
    anyhow::ensure!(
        program.is_file(),
        "there is no {}: build it (cargo build --release), or set ROLEKEEPER_BIN to the path of rolekeeper",
        program.display()
    );
    Ok(program)
}

/// Runs the worker's program with a command, in `folder`, with its log there.
fn run(folder: &Folder, command: &str, settings: &[(&str, String)]) -> Result<Process> {
    let program = program()?;
    let log = File::options().create(true).append(true).open(log_path(folder))?;
    let mut process = folder.command(command, &program, "TERM");
    // The environment is cleared: a setting of the caller must not reach the worker.
    process
        .arg(command)
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (name, value)));
    if let Some(path) = std::env::var_os("PATH") {
        process.env("PATH", path);
    }
    process.stdout(log.try_clone()?).stderr(log);
    folder::spawn(process)
}

fn log_path(folder: &Folder) -> PathBuf {
    folder.path().join("log")
}

fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Returns the address in a line such as `listening setting="LISTEN" address=127.0.0.1:8080`.
fn address(log: &str, setting: &str) -> Option<String> {
    let named = format!("setting=\"{setting}\" address=");
    let after = log.lines().find_map(|line| line.split_once(&named))?.1;
    after.split_whitespace().next().map(str::to_owned)
}
