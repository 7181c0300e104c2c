//! The world: private Postgres, NATS and tenant, and the real worker as a separate process.
//!
//! Owns their start and end, and the settings of the worker. All of them listen on loopback only and use private folders that
//! are removed with this process. Must never give the worker any input that an operator would not give: settings in its
//! environment.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};

use rolekeeper_sandbox::servers::{Nats, Postgres};
use rolekeeper_sandbox::tenant::{Action, Client, LogStream, RatePlan, Tenant, TenantOptions};
use rolekeeper_sandbox::worker;

/// The worker's client at the tenant.
pub(super) const CLIENT: &str = "sandbox-rolekeeper";
/// The client's secret; the tenant exists as long as this process and listens on loopback only.
pub(super) const SECRET: &str = "sandbox-secret-of-rolekeeper";
/// The token that the log stream sends to the webhook.
pub(super) const TOKEN: &str = "sandbox-log-stream-token";
/// The operator's token of the console.
pub(super) const CONSOLE_TOKEN: &str = "sandbox-console-token";
/// The identifier of the app's own API.
pub(super) const AUDIENCE: &str = "https://api.music.example";
/// Prefix of the names of the Action's claims.
pub(super) const NAMESPACE: &str = "https://music.example";
/// The tenant's plan: calls at once, calls per second, and the worker's setting for it.
pub(super) const BURST: f64 = 50.0;
pub(super) const PER_SECOND: f64 = 16.0;
const PLAN: (RatePlan, &str) = (RatePlan::ENTERPRISE, "enterprise");

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
            ("CONSOLE_OPERATOR_TOKEN", CONSOLE_TOKEN.to_owned()),
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

/// A process of `rolekeeper serve`, with its addresses.
#[derive(Debug)]
pub(super) struct Worker {
    /// Address to which the log stream delivers.
    pub(super) webhook: String,
    /// `http://…` of the data API, without a slash at the end.
    pub(super) api: String,
    /// `http://…` of metrics and health, without a slash at the end.
    pub(super) ops: String,
    process: worker::Worker,
}

impl Worker {
    async fn start(settings: &[(&'static str, String)]) -> Result<Self> {
        let program = program()?;
        worker::migrate(&program, settings).await?;
        let mut process = worker::Worker::spawn(&program, settings)?;
        process.ready().await?;
        let address = |setting| process.address(setting).context("the worker does not listen");
        let api = format!("http://{}", address("LISTEN")?);
        Ok(Self {
            webhook: format!("{api}/auth0/logs"),
            api,
            ops: format!("http://{}", address("OPS_LISTEN")?),
            process,
        })
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
        self.process.end(STOP_WITHIN).await
    }

    /// Returns the last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Returns the path of its log, which is removed with this process.
    pub(super) fn log_path(&self) -> PathBuf {
        self.process.log_path()
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
