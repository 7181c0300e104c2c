//! The world of one size: separate servers, a tenant with the users who will cross the threshold, the worker.
//!
//! Owns the measured work, and the CPU that worker, Postgres and nats-server use for it. Must never query Postgres during a
//! measurement: a query costs too.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rolekeeper_sandbox::servers::folder::Folder;
use rolekeeper_sandbox::servers::{Nats, Postgres};
use rolekeeper_sandbox::tenant::{Client, LogStream, Tenant, TenantOptions};
use rolekeeper_sandbox::traffic::event::{Event, What};
use rolekeeper_sandbox::traffic::publish::Publisher;
use rolekeeper_sandbox::traffic::{ROLE, THRESHOLD, http, others};
use rolekeeper_sandbox::worker::{self, Worker};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::console::{Console, TOKEN};
use crate::{postgres, process, seed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
const DATABASE: &str = "scale";
const CLIENT: &str = "role-changer";
const SECRET: &str = "secret";
const LOG_TOKEN: &str = "log-stream-token-of-the-bench";
const ANSWERS_IN: Duration = Duration::from_millis(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Interval of requests to the metrics for the version in force; each request has a small cost.
const ASK_EVERY: Duration = Duration::from_millis(100);
const WITHIN: Duration = Duration::from_mins(5);

/// All running parts. On drop, they end in this order.
pub(crate) struct World {
    pub(crate) users: u32,
    worker: Option<Worker>,
    tenant: Tenant,
    publisher: Publisher,
    http: http::Worker,
    settings: Vec<(&'static str, String)>,
    url: String,
    /// Number of users who have crossed the threshold so far.
    crossed: u32,
    /// Version of the rules in force.
    version: u32,
    rules: Folder,
    nats: Nats,
    postgres: Postgres,
}

impl World {
    /// Fills the database and lets a worker complete the work of a first start.
    pub(crate) async fn start(users: u32, crossings: u32) -> Result<Self> {
        anyhow::ensure!(
            crossings <= seed::ones_below(users),
            "{users} users are too few for {crossings} crossings"
        );
        let postgres = postgres::server().await?;
        let (nats, tenant) = (Nats::start().await?, tenant(crossings).await?);
        let url = postgres.create_database(DATABASE).await?;
        let mut settings =
            worker::settings(&url, &nats.url(), &tenant.base_url(), (CLIENT, SECRET), LOG_TOKEN);
        // This is the largest plan, so no rate limit delays the worker.
        settings.push(("AUTH0_PLAN", "500:10000".to_owned()));
        settings.push(("CONSOLE_READ_TOKEN", TOKEN.to_owned()));
        worker::migrate(Path::new(PROGRAM), &settings).await?;
        seed::users(&url, users).await?;
        let mut world = Self {
            users,
            worker: None,
            tenant,
            publisher: Publisher::connect(&nats.url()).await?,
            http: http::Worker::new()?,
            settings,
            url,
            crossed: 0,
            version: 0,
            rules: Folder::new("rules")?,
            nats,
            postgres,
        };
        world.start_worker().await?;
        world.all_compared().await?;
        Ok(world)
    }

    /// Returns the CPU time so far of worker, Postgres and nats-server, in seconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let nats = self.nats.pid().context("nats-server does not run")?;
        let postgres = self.postgres.pid().context("Postgres does not run")?;
        let worker = self
            .worker
            .as_ref()
            .map_or(Ok(0.0), |worker| process::cpu(worker.pid()))?;
        Ok(worker + process::cpu(nats)? + process::cpu_with_children(postgres)?)
    }

    /// Returns the worker's present memory, in MiB.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        process::memory_mib(self.worker()?.pid())
    }

    /// Starts the worker, and waits until it is ready.
    pub(crate) async fn start_worker(&mut self) -> Result<()> {
        let mut worker = Worker::spawn(Path::new(PROGRAM), &self.settings)?;
        worker.ready().await?;
        let public = worker.address("LISTEN").context("the worker does not listen")?;
        self.tenant
            .stream_logs(LogStream::to(format!("http://{public}/auth0/logs"), LOG_TOKEN))?;
        self.worker = Some(worker);
        Ok(())
    }

    /// Returns when the processes of Postgres for the worker's connections have ended too: each of them needs milliseconds to
    /// release its maps of a large `shared_buffers`, which belong to no start.
    pub(crate) async fn stop_worker(&mut self) -> Result<()> {
        let Some(mut worker) = self.worker.take() else {
            return Ok(());
        };
        let postgres = self.postgres.pid().context("Postgres does not run")?;
        let served = connections(postgres)?;
        worker.stop().await?;
        let deadline = Instant::now() + WITHIN;
        while served.iter().any(|pid| Path::new("/proc").join(pid).exists()) {
            anyhow::ensure!(Instant::now() < deadline, "connections outlive the worker");
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Scrapes the metrics once, as Prometheus does.
    pub(crate) async fn scrape(&self) -> Result<http::Metrics> {
        let ops = self.worker()?.address("OPS_LISTEN");
        let ops = ops.context("the worker has no ops listener")?;
        self.http.metrics(&format!("http://{ops}/metrics")).await
    }

    /// Signs in to the console.
    pub(crate) async fn console(&self) -> Result<Console> {
        let ops = self.worker()?.address("OPS_LISTEN");
        Console::sign_in(&ops.context("the worker has no ops listener")?).await
    }

    /// Lets one user reach the threshold with one play; returns when the tenant has the role.
    pub(crate) async fn cross(&mut self) -> Result<()> {
        let (user, playlist) = seed::one_below(self.crossed);
        self.crossed += 1;
        let id = format!("crossing_{}", self.crossed);
        let body = json!({
            "type": "play", "event_id": id, "playlist_id": playlist, "listener_id": "auth0|listener", "song_id": "s_7",
            "played_at": "2026-11-23T10:00:00Z",
        });
        let play = Event {
            subject: format!("plays.{playlist}"),
            id,
            playlist,
            what: What::Play,
            body: body.to_string(),
        };
        self.publisher.send(&[&play]).await?;
        let deadline = Instant::now() + WITHIN;
        while !self
            .tenant
            .user(&user)
            .is_some_and(|user| others::holds(user.get("app_metadata")))
        {
            self.still_waits(deadline, "the role was not given")?;
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Explains one user, as an operator; returns how long the command took.
    pub(crate) async fn explain(&self, number: u32) -> Result<Duration> {
        let mut command = tokio::process::Command::new(PROGRAM);
        command
            .args(["explain", &seed::user(number), "--json"])
            .env_clear();
        command.env("DATABASE_URL", &self.url);
        let began = Instant::now();
        let output = command.output().await?;
        let (took, error) = (began.elapsed(), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(output.status.success(), "user {number}: {error}");
        Ok(took)
    }

    /// Puts other rules in force, as an operator, which affect no user; returns when the worker works under them.
    pub(crate) async fn change_rules(&mut self) -> Result<()> {
        self.version += 1;
        let file = self.rules.path().join("rules.toml");
        let revoke_below = THRESHOLD - i64::from(self.version % 2);
        let rules = format!(
            "version = {}\n[[rule]]\nrole = \"{ROLE}\"\ngrant_at = {THRESHOLD}\nrevoke_below = {revoke_below}\n",
            self.version
        );
        std::fs::write(&file, rules)?;
        let apply = format!("rules apply {}", file.display());
        worker::command(Path::new(PROGRAM), &apply, &self.settings).await?;
        let deadline = Instant::now() + WITHIN;
        let version = Some(f64::from(self.version));
        while self.scrape().await?.figure("rolekeeper_rules_version") != version {
            self.still_waits(deadline, "the rules did not take effect")?;
            sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until all users were compared with the rules in force.
    pub(crate) async fn all_compared(&mut self) -> Result<()> {
        let mut db = PgConnection::connect(&self.url).await?;
        let compared = "SELECT EXISTS (SELECT FROM walk w JOIN rules_in_force r ON r.fingerprint = w.rules WHERE NOT w.changed)";
        let deadline = Instant::now() + WITHIN;
        while !sqlx::query_scalar::<_, bool>(compared).fetch_one(&mut db).await? {
            self.still_waits(deadline, "not all users were compared with the rules")?;
            sleep(ASK_EVERY).await;
        }
        Ok(db.close().await?)
    }

    fn still_waits(&mut self, deadline: Instant, why: &str) -> Result<()> {
        let worker = self.worker.as_mut().context("no worker")?;
        worker.still_runs()?;
        anyhow::ensure!(
            Instant::now() < deadline,
            "{why} in {WITHIN:?}; the end of the worker's log:\n{}",
            worker.log_tail()
        );
        Ok(())
    }

    fn worker(&self) -> Result<&Worker> {
        self.worker.as_ref().context("no worker")
    }
}

/// Returns the processes of this Postgres that serve the database. It sends no query, which would be a connection too.
fn connections(postgres: u32) -> Result<Vec<String>> {
    let children = std::fs::read_to_string(format!("/proc/{postgres}/task/{postgres}/children"))?;
    let serves = |pid: &&str| {
        let title = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&title).contains(&format!(" {DATABASE} "))
    };
    let serving = children.split_whitespace().filter(serves);
    Ok(serving.map(str::to_owned).collect())
}

/// Returns a tenant without a rate limit, with the users who will cross.
async fn tenant(crossings: u32) -> Result<Tenant> {
    let tenant = Tenant::start(TenantOptions {
        clients: vec![Client::new(CLIENT, SECRET)],
        latency: ANSWERS_IN..=ANSWERS_IN,
        ..TenantOptions::default()
    });
    let tenant = tenant.await?;
    for which in 0..crossings {
        let (user, _) = seed::one_below(which);
        let profile = json!({"app_metadata": {}, "user_metadata": {"displayName": "Listener"}});
        let seeded = tenant.seed_user(&user, profile).map(drop);
        seeded.map_err(|error| anyhow::anyhow!("the tenant refused {user}: {error:?}"))?;
    }
    Ok(tenant)
}
