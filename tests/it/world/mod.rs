//! The world of one test: a database, a nats-server, a tenant, and workers.
//!
//! Owns starting them, publishing, waiting for conditions and the final comparison with the oracle. Must never wait a
//! fixed time, and never miss a worker's death.

mod builder;
pub(crate) mod cluster;
pub(crate) mod collector;
mod commands;
pub(crate) mod console;
pub(crate) mod data_api;
pub(crate) mod discover;
pub(crate) mod erasure;
pub(crate) mod events;
mod holders;
pub(crate) mod key_pair;
pub(crate) mod local_copy;
pub(crate) mod losses;
pub(crate) mod names;
pub(crate) mod nats_jwt;
pub(crate) mod nats_options;
pub(crate) mod not_found;
pub(crate) mod oracle;
pub(crate) mod other_clock;
pub(crate) mod persons;
pub(crate) mod pooler;
pub(crate) mod prometheus;
pub(crate) mod proxy;
mod publish;
pub(crate) mod races;
mod raw_publish;
pub(crate) mod rules;
mod settled;
mod streams;
mod tenant_side;
mod wait;
mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_nats::jetstream;
use rolekeeper_sandbox::servers::folder::Folder;
use rolekeeper_sandbox::servers::{Nats, Postgres};
use rolekeeper_sandbox::tenant::{Endpoint, Tenant};
use serde_json::json;
use sqlx::PgPool;

use crate::world::oracle::Oracle;
use crate::world::proxy::Proxy;
pub(crate) use builder::{Builder, PASSWORD, deployed, roles};
pub(crate) use commands::{Running, binary, text};
pub(crate) use holders::user;
pub(crate) use tenant_side::gaps;
pub(crate) use wait::poll;
pub(crate) use worker::Worker;

/// The user of most stories.
pub(crate) const ANN: &str = "auth0|ann";
/// The worker's client at the tenant.
pub(crate) const CLIENT: &str = "rolekeeper-m2m";
/// The Authorization header of the log stream.
pub(crate) const LOG_TOKEN: &str = "Bearer log-stream-token-0123456789";
/// The streams, by name.
pub(crate) const APP_EVENTS: &str = "APP_EVENTS";

/// The size of a test: the larger one in `scripts/long.sh`.
pub(crate) fn size(usual: u32, long: u32) -> u32 {
    if std::env::var_os("LONG_TESTS").is_some() {
        long
    } else {
        usual
    }
}

/// The place of a test. Everything in it ends with it.
#[derive(Debug)]
pub(crate) struct World {
    /// The tenant; tests seed users here, order faults, and read calls and histories.
    pub(crate) tenant: Tenant,
    /// This test's own server; behind a lock, so that a test can damage it while it publishes.
    pub(crate) nats: tokio::sync::Mutex<Nats>,
    /// This test's own Postgres, if requested.
    own_postgres: Option<tokio::sync::Mutex<Postgres>>,
    postgres_proxy: Option<Proxy>,
    nats_proxy: Option<Proxy>,
    /// The test's own connection to the database, past any proxy.
    pub(crate) db: PgPool,
    /// The test's own connection to NATS, past any proxy.
    pub(crate) jetstream: jetstream::Context,
    oracle: Mutex<Oracle>,
    env: Vec<(String, String)>,
    /// The binary belongs to a release that keeps neither limits nor the comparison of users in the database.
    before_limits: bool,
    http: reqwest::Client,
    workers: Mutex<Vec<Worker>>,
    folder: Folder,
}

impl World {
    /// With one worker, ready.
    pub(crate) async fn start() -> Self {
        Builder::default().start().await
    }

    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// The published events and the expected state; a test that lost messages on purpose corrects it here.
    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This test's own Postgres; the builder must have requested one.
    pub(crate) async fn postgres(&self) -> tokio::sync::MutexGuard<'_, Postgres> {
        self.own_postgres
            .as_ref()
            .expect("built with own_postgres")
            .lock()
            .await
    }

    /// Between the workers and Postgres; the builder must have requested it.
    pub(crate) fn postgres_proxy(&self) -> &Proxy {
        self.postgres_proxy.as_ref().expect("built with postgres_proxy")
    }

    /// Between the workers and NATS; the builder must have requested it.
    pub(crate) fn nats_proxy(&self) -> &Proxy {
        self.nats_proxy.as_ref().expect("built with nats_proxy")
    }

    /// All workers started so far, ended ones too.
    pub(crate) fn workers(&self) -> Vec<Worker> {
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The worker started last.
    pub(crate) fn worker(&self) -> Worker {
        self.workers().pop().expect("a worker was started")
    }

    /// Starts a worker and waits until it is ready.
    pub(crate) async fn start_worker(&self) -> Worker {
        self.start_worker_with(&[]).await
    }

    /// Starts a worker with other settings and waits until it is ready.
    pub(crate) async fn start_worker_with(&self, env: &[(&str, &str)]) -> Worker {
        let worker = self.spawn_worker_with(env);
        self.eventually("the worker is ready", async || worker.is_ready().await)
            .await;
        worker
    }

    /// Starts a worker that reaches the tenant through a proxy, with other settings, and waits until it is ready.
    pub(crate) async fn start_worker_by_proxy(&self, env: &[(&str, &str)]) -> (Worker, Proxy) {
        let tenant = self.tenant.base_url();
        let address = tenant.trim_start_matches("http://").parse().expect("an address");
        let way = Proxy::start(address).await;
        let domain = format!("http://127.0.0.1:{}", way.port());
        // The same tenant by another domain.
        let audience = format!("{tenant}/api/v2/");
        let tenant = [
            ("AUTH0_DOMAIN", domain.as_str()),
            ("AUTH0_AUDIENCE", audience.as_str()),
        ];
        (self.start_worker_with(&[&tenant[..], env].concat()).await, way)
    }

    /// Waits until the worker started last is connected to the bus; one that only listens is ready before.
    pub(crate) async fn on_the_bus(self) -> Self {
        let worker = self.worker();
        let connected = async || worker.count("rolekeeper_bus_up").await == Some(1);
        self.eventually("it is connected to the bus", connected).await;
        self
    }

    /// Starts a worker and does not wait for it.
    pub(crate) fn spawn_worker_with(&self, env: &[(&str, &str)]) -> Worker {
        let mut all = self.env.clone();
        all.extend(
            env.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("worker-{}", workers.len() + 1);
        let worker = Worker::spawn(&self.folder, &name, &all, &self.http);
        workers.push(worker.clone());
        worker
    }

    /// The value of a setting of every command and worker.
    pub(crate) fn setting(&self, name: &str) -> String {
        let of_name = self.env.iter().rfind(|(setting, _)| setting == name);
        of_name.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Sets the limits of a new world. A binary of a release before them has settings of the worker instead.
    async fn set_limits(&mut self, limits: Vec<(&'static str, f64)>) {
        let there = "SELECT count(*) FROM pg_class WHERE relname IN ('limits', 'walk')";
        self.before_limits = self.number(there).await == Some(0);
        for (name, value) in limits {
            if self.before_limits {
                let setting = name.to_uppercase().replace("RESERVE", "AUTH0_RESERVE");
                self.env.push((setting, value.to_string()));
            } else {
                self.set_limit(name, value).await;
            }
        }
    }

    /// Sets a limit of the database, as `rolekeeper limits set` does.
    pub(crate) async fn set_limit(&self, name: &str, value: f64) {
        let set = "INSERT INTO limits (name, value, set_by, why) VALUES ($1, $2, 'world', 'a story')";
        let set = sqlx::query(set).bind(name).bind(value).execute(&self.db);
        set.await.expect("Postgres responds");
    }

    /// A user of the tenant with these roles, who exists before the first attempt.
    pub(crate) fn seed_user(&self, user: &str, roles: &[&str]) {
        let profile = json!({"app_metadata": {"roles": roles, "plan": "gold"}});
        self.tenant
            .seed_user(user, profile)
            .expect("a user as POST takes it");
    }

    /// `app_metadata.roles` of a user at the tenant.
    pub(crate) fn roles(&self, user: &str) -> Vec<String> {
        let roles = self
            .tenant
            .user(user)
            .map(|user| user["app_metadata"]["roles"].clone());
        serde_json::from_value(roles.unwrap_or_default()).unwrap_or_default()
    }

    /// Writes that the workers have sent to the tenant so far.
    pub(crate) fn patches(&self) -> usize {
        let is_patch = |call: &&rolekeeper_sandbox::tenant::Call| call.endpoint == Endpoint::PatchUser;
        self.tenant
            .with_calls(|calls| calls.iter().filter(is_patch).count())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let workers = self.workers();
            for worker in &workers[workers.len().saturating_sub(3)..] {
                eprintln!("{}", worker.log_tail(60));
            }
        }
    }
}
