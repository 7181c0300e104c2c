//! The world of a measurement: a tenant, a nats-server, a database, the worker.
//!
//! Owns their start, the users, publishing, and the wait until no work remains. Queries to Postgres only serve this wait, and
//! never a figure.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rolekeeper_sandbox::servers::folder::Folder;
use rolekeeper_sandbox::servers::{Nats, Postgres};
use rolekeeper_sandbox::tenant::{Client, LogStream, Rate, RatePlan, Tenant, TenantOptions};
use rolekeeper_sandbox::traffic::ROLE;
use rolekeeper_sandbox::traffic::event::Event;
use rolekeeper_sandbox::traffic::publish::Publisher;
use rolekeeper_sandbox::traffic::rest;
use rolekeeper_sandbox::traffic::stream::Streams;
use rolekeeper_sandbox::worker::{self, Worker};
use serde_json::json;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

/// The client that changes roles: the worker, or the plain client instead.
pub(crate) const CLIENT: &str = "role-changer";
/// Another client of the same tenant.
pub(crate) const OTHER_CLIENT: &str = "another-client";
/// The secret of both clients.
pub(crate) const SECRET: &str = "secret";
const LOG_TOKEN: &str = "log-stream-token-of-the-bench";

/// The enterprise plan, production on the public cloud (Auth0 docs, rate-limit-configurations).
pub(crate) const BURST: u32 = 50;
pub(crate) const PER_SECOND: u32 = 16;
/// Latency of one call at the tenant, in real time.
pub(crate) const LATENCY_MS: RangeInclusive<u64> = 30..=90;
/// Number of users without events.
pub(crate) const BYSTANDERS: usize = 50;

/// Name of the file in a folder of [`rules_file`].
pub(crate) const RULES_FILE: &str = "rules.toml";

const PROGRAM: &str = env!("CARGO_BIN_EXE_rolekeeper");
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Messages published before their acknowledgements are awaited.
const IN_FLIGHT: usize = 1_000;

/// Returns the worker when it is ready.
async fn start(settings: &[(&str, String)]) -> Result<Worker> {
    let mut worker = Worker::spawn(Path::new(PROGRAM), settings)?;
    worker.ready().await?;
    Ok(worker)
}

/// Returns a tenant on the enterprise plan whose rate limit runs `factor` times as fast.
pub(crate) async fn tenant(factor: u32, seed: u64) -> Result<Tenant> {
    let [least, most] = [LATENCY_MS.start(), LATENCY_MS.end()].map(|ms| Duration::from_millis(*ms));
    let rate = Rate::new(BURST, f64::from(PER_SECOND));
    start_tenant(rate, f64::from(factor), least..=most, seed).await
}

/// Returns a tenant with one bucket and a fixed latency, in real time.
pub(crate) async fn fast_tenant(rate: Rate, latency: Duration, seed: u64) -> Result<Tenant> {
    start_tenant(rate, 1.0, latency..=latency, seed).await
}

async fn start_tenant(
    rate: Rate,
    clock_factor: f64,
    latency: RangeInclusive<Duration>,
    seed: u64,
) -> Result<Tenant> {
    let tenant = Tenant::start(TenantOptions {
        name: "bench".into(),
        clients: vec![Client::new(CLIENT, SECRET), Client::new(OTHER_CLIENT, SECRET)],
        plan: RatePlan::Global(rate),
        clock_factor,
        latency,
        seed,
        ..TenantOptions::default()
    });
    let tenant = tenant.await?;
    for number in 0..BYSTANDERS {
        seed_user(&tenant, &bystander(number))?;
    }
    Ok(tenant)
}

/// Returns the id of a user without events.
pub(crate) fn bystander(number: usize) -> String {
    format!("auth0|bystander{}", number % BYSTANDERS)
}

/// Creates a user with another role and another setting, as initial data.
pub(crate) fn seed_user(tenant: &Tenant, user: &str) -> Result<()> {
    let profile = json!({
        "app_metadata": {"roles": ["beta_tester"], "plan": "gold"},
        "user_metadata": {"displayName": "Listener"},
    });
    let seeded = tenant.seed_user(user, profile).map(drop);
    seeded.map_err(|error| anyhow::anyhow!("the tenant refused {user}: {error:?}"))
}

/// Returns a folder with a rules file, which is removed on drop.
pub(crate) fn rules_file(grant_at: i64, revoke_below: i64) -> Result<Folder> {
    let folder = Folder::new("rules")?;
    let rule = format!("[[rule]]\nrole = \"{ROLE}\"\ngrant_at = {grant_at}\nrevoke_below = {revoke_below}\n");
    std::fs::write(folder.path().join(RULES_FILE), rule)?;
    Ok(folder)
}

/// Returns whether the user at the tenant has the right data, with the role or without.
pub(crate) fn is_right(tenant: &Tenant, user: &str, with_role: bool) -> bool {
    let roles = if with_role {
        json!(["beta_tester", ROLE])
    } else {
        json!(["beta_tester"])
    };
    tenant
        .user(user)
        .is_some_and(|user| user["app_metadata"] == json!({"roles": roles, "plan": "gold"}))
}

/// All running parts. On drop, they end in this order.
#[derive(Debug)]
pub(crate) struct World {
    worker: Option<Worker>,
    pub(crate) tenant: Tenant,
    publisher: Publisher,
    streams: Streams,
    db: PgPool,
    settings: Vec<(&'static str, String)>,
    poll: Duration,
    _nats: Nats,
}

impl World {
    /// Starts all parts with a new database; `settings` are added to the usual ones.
    pub(crate) async fn start(
        postgres: &Postgres,
        tenant: Tenant,
        factor: u32,
        settings: &[(&'static str, &str)],
    ) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let database = format!("bench_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let url = postgres.create_database(&database).await?;
        let nats = Nats::start().await?;
        let mut all = worker::settings(&url, &nats.url(), &tenant.base_url(), (CLIENT, SECRET), LOG_TOKEN);
        all.push(("AUTH0_PLAN", format!("{BURST}:{}", PER_SECOND * factor)));
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        worker::migrate(Path::new(PROGRAM), &all).await?;
        let worker = start(&all).await?;
        Ok(Self {
            worker: Some(worker),
            tenant,
            publisher: Publisher::connect(&nats.url()).await?,
            streams: Streams::connect(&nats.url()).await?,
            db: PgPool::connect_lazy(&url)?,
            settings: all,
            poll: POLL_INTERVAL,
            _nats: nats,
        })
    }

    /// Stops the worker cleanly.
    pub(crate) async fn stop_worker(&mut self) -> Result<()> {
        match self.worker.take() {
            Some(mut worker) => worker.stop().await,
            None => Ok(()),
        }
    }

    /// Starts the worker again. The log stream needs its new address.
    pub(crate) async fn start_worker(&mut self) -> Result<()> {
        self.worker = Some(start(&self.settings).await?);
        Ok(())
    }

    /// Sends the tenant's log to the worker from now on: seconds late, out of order, some records twice.
    pub(crate) fn stream_logs(&self, seed: u64) -> Result<()> {
        let worker = self.worker.as_ref().context("no worker")?;
        let public = worker.address("LISTEN").context("the worker does not listen")?;
        self.tenant.stream_logs(LogStream {
            delay: Duration::from_millis(300)..=Duration::from_secs(4),
            twice: 0.1,
            shuffle: true,
            seed,
            ..LogStream::to(format!("http://{public}/auth0/logs"), LOG_TOKEN)
        })
    }

    /// Publishes events in order; returns when the stream has stored all of them.
    pub(crate) async fn publish(&self, events: &[Event]) -> Result<()> {
        for some in events.chunks(IN_FLIGHT) {
            self.publisher.send(&some.iter().collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Waits until all records are delivered, both streams are folded to their ends and no user is due.
    pub(crate) async fn rest(&mut self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        while !rest::is_reached(&self.tenant, &self.streams, &self.db).await? {
            let worker = self.worker.as_mut().context("no worker")?;
            worker.still_runs()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "work remains after {within:?}; the end of the worker's log:\n{}",
                worker.log_tail()
            );
            sleep(self.poll).await;
        }
        Ok(())
    }

    /// Looks for remaining work this often: where the CPU of Postgres is measured, seldom.
    pub(crate) fn poll_every(&mut self, poll: Duration) {
        self.poll = poll;
    }

    /// Kills the worker, and starts it again.
    pub(crate) async fn kill_worker(&mut self) -> Result<()> {
        drop(self.worker.take());
        self.start_worker().await
    }

    /// Returns the process id of the worker.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.worker.as_ref().context("no worker")?.pid())
    }

    /// Returns the peak memory of the worker, in MiB.
    pub(crate) fn peak_memory_mib(&self) -> Result<f64> {
        self.worker.as_ref().context("no worker")?.peak_memory_mib()
    }
}
