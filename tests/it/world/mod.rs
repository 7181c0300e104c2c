//! The world of one test: a database, a nats-server, a tenant, and workers.
//!
//! Owns starting them, publishing, waiting for conditions and the final comparison with the oracle. Must never
//! wait a fixed time, and never let a worker's death go unnoticed.

mod settled;
mod worker;

use std::fmt::Write as _;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, message::PublishMessage};
use rolekeeper::sandbox::servers::folder::Folder;
use rolekeeper::sandbox::servers::{Nats, NatsOptions, Postgres};
use rolekeeper::sandbox::tenant::{Client, Endpoint, Tenant, TenantOptions};
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::events::Sent;
use crate::oracle::Oracle;
use crate::proxy::Proxy;
pub(crate) use worker::Worker;

/// The worker's client at the tenant.
pub(crate) const CLIENT: &str = "rolekeeper-m2m";
/// What the log stream sends as Authorization.
pub(crate) const LOG_TOKEN: &str = "Bearer log-stream-token-0123456789";
/// The streams, by name.
pub(crate) const APP_EVENTS: &str = "APP_EVENTS";

/// How long a condition may take to come true.
const WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Messages published before their acknowledgements are awaited.
const IN_FLIGHT: usize = 1_000;
/// Longest a command may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// One Postgres for all tests that do it no harm; ends with the process, see `sandbox::servers`.
static SHARED_POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// How a world is to be.
#[derive(Debug)]
pub(crate) struct Builder {
    workers: usize,
    env: Vec<(String, String)>,
    tenant: TenantOptions,
    nats: NatsOptions,
    own_postgres: bool,
    postgres_proxy: bool,
    nats_proxy: bool,
    migrated: bool,
}

impl Default for Builder {
    /// One worker, no limits at the tenant, everything reached directly.
    fn default() -> Self {
        Self {
            workers: 1,
            env: vec![],
            tenant: TenantOptions::default(),
            nats: NatsOptions::default(),
            own_postgres: false,
            postgres_proxy: false,
            nats_proxy: false,
            migrated: true,
        }
    }
}

/// Where tests take place. Everything in it ends with it.
#[derive(Debug)]
pub(crate) struct World {
    /// The tenant; seed users here, order faults here, look at calls and histories here.
    pub(crate) tenant: Tenant,
    /// This test's own server; behind a lock, so that a test can harm it while it publishes.
    pub(crate) nats: tokio::sync::Mutex<Nats>,
    /// This test's own Postgres, where it asked for one.
    own_postgres: Option<tokio::sync::Mutex<Postgres>>,
    postgres_proxy: Option<Proxy>,
    nats_proxy: Option<Proxy>,
    /// The test's own connection to the database, past any proxy.
    pub(crate) db: PgPool,
    /// The test's own connection to NATS, past any proxy.
    pub(crate) jetstream: jetstream::Context,
    oracle: Mutex<Oracle>,
    env: Vec<(String, String)>,
    http: reqwest::Client,
    workers: Mutex<Vec<Worker>>,
    folder: Folder,
}

impl Builder {
    /// Workers that are started with the world; they are ready when it is.
    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// A setting of every command and worker.
    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// How the tenant behaves; its clients are set by the world.
    pub(crate) fn tenant(mut self, options: TenantOptions) -> Self {
        self.tenant = options;
        self
    }

    /// A Postgres of its own, for a test that harms it.
    pub(crate) fn own_postgres(mut self) -> Self {
        self.own_postgres = true;
        self
    }

    /// Workers reach Postgres through a proxy.
    pub(crate) fn postgres_proxy(mut self) -> Self {
        self.postgres_proxy = true;
        self
    }

    /// Workers reach NATS through a proxy.
    pub(crate) fn nats_proxy(mut self) -> Self {
        self.nats_proxy = true;
        self
    }

    /// Without schema and streams.
    pub(crate) fn not_migrated(mut self) -> Self {
        self.migrated = false;
        self
    }

    /// Starts everything.
    pub(crate) async fn start(mut self) -> World {
        // reqwest asks for a provider of TLS even for plain HTTP; an error says there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = format!("world_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let own = if self.own_postgres {
            Some(Postgres::start().await.expect("Postgres starts"))
        } else {
            None
        };
        let postgres = match &own {
            Some(own) => own,
            None => SHARED_POSTGRES
                .get_or_try_init(Postgres::start)
                .await
                .expect("Postgres starts"),
        };
        let url = postgres.create_database(&database).await.expect("a database");
        let db = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5));
        let db = db.connect_lazy(&url).expect("a valid URL");
        let postgres_proxy = proxy(self.postgres_proxy, postgres.port()).await;
        let nats = Nats::start_with(self.nats).await.expect("nats-server starts");
        let nats_proxy = proxy(self.nats_proxy, nats.port()).await;
        let client = async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .connect(nats.url());
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .max_ack_inflight(2 * IN_FLIGHT)
            .build(client.await.expect("nats-server answers"));
        self.tenant.clients = vec![Client::new(CLIENT, "secret")];
        let tenant = Tenant::start(self.tenant).await.expect("the tenant starts");
        let postgres_port = postgres_proxy.as_ref().map_or(postgres.port(), Proxy::port);
        let nats_port = nats_proxy.as_ref().map_or(nats.port(), Proxy::port);
        let mut env: Vec<(String, String)> = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LOG_FORMAT", "json".into()),
            (
                "DATABASE_URL",
                format!("postgres://postgres@127.0.0.1:{postgres_port}/{database}"),
            ),
            ("NATS_URL", format!("nats://127.0.0.1:{nats_port}")),
            ("AUTH0_DOMAIN", tenant.base_url()),
            ("AUTH0_CLIENT_ID", CLIENT.into()),
            ("AUTH0_CLIENT_SECRET", "secret".into()),
            ("AUTH0_PLAN", "500:1000".into()),
            ("AUTH0_RESERVE", "0".into()),
            ("LOG_STREAM_TOKEN", LOG_TOKEN.into()),
            ("LISTEN", "127.0.0.1:0".into()),
            ("OPS_LISTEN", "127.0.0.1:0".into()),
            ("APP_EVENTS_MAX_MIB", "256".into()),
            ("AUTH0_LOGS_MAX_MIB", "64".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        env.extend(self.env);
        let world = World {
            tenant,
            nats: nats.into(),
            own_postgres: own.map(tokio::sync::Mutex::new),
            postgres_proxy,
            nats_proxy,
            db,
            jetstream,
            oracle: Mutex::default(),
            env,
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("an HTTP client"),
            workers: Mutex::default(),
            folder: Folder::new("world").expect("a temporary folder"),
        };
        if self.migrated {
            let output = world.command(&["migrate"]).await;
            assert!(output.status.success(), "migrate: {}", text(&output));
        }
        for _ in 0..self.workers {
            world.start_worker().await;
        }
        world
    }
}

async fn proxy(wanted: bool, port: u16) -> Option<Proxy> {
    if wanted {
        Some(Proxy::start(([127, 0, 0, 1], port).into()).await)
    } else {
        None
    }
}

impl World {
    /// With one worker, ready.
    pub(crate) async fn start() -> Self {
        Builder::default().start().await
    }

    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// What was published and must be; settle a harm here when the test lost messages on purpose.
    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This test's own Postgres; the builder must have been asked for one.
    pub(crate) async fn postgres(&self) -> tokio::sync::MutexGuard<'_, Postgres> {
        self.own_postgres
            .as_ref()
            .expect("built with own_postgres")
            .lock()
            .await
    }

    /// Between the workers and Postgres; the builder must have been asked for it.
    pub(crate) fn postgres_proxy(&self) -> &Proxy {
        self.postgres_proxy.as_ref().expect("built with postgres_proxy")
    }

    /// Between the workers and NATS; the builder must have been asked for it.
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

    /// Runs a command of the binary to its end.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, &[]).await
    }

    /// Runs a command of the binary with other settings.
    pub(crate) async fn command_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rolekeeper"));
        command.args(arguments).env_clear().envs(self.env.iter().cloned());
        command.envs(env.iter().copied()).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND_WITHIN, command.output()).await;
        output
            .expect("a command takes less than a minute")
            .expect("the binary runs")
    }

    /// A user of the tenant with these roles, there before anybody looked.
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

    /// Writes the workers have sent to the tenant so far.
    pub(crate) fn patches(&self) -> usize {
        let is_patch = |call: &&rolekeeper::sandbox::tenant::Call| call.endpoint == Endpoint::PatchUser;
        self.tenant
            .with_calls(|calls| calls.iter().filter(is_patch).count())
    }

    /// Publishes events in order and waits until all are stored. One whose acknowledgement does not come is
    /// published again under its id, as a publisher would.
    pub(crate) async fn publish(&self, events: &[Sent]) {
        for some in events.chunks(IN_FLIGHT) {
            let mut acks = Vec::with_capacity(some.len());
            for event in some {
                acks.push(self.try_publish(event).await);
            }
            for (event, ack) in some.iter().zip(acks) {
                let seq = match ack {
                    Ok(ack) => ack.await.map_err(|_| ()),
                    Err(_) => Err(()),
                };
                match seq {
                    Ok(ack) => self.oracle().stored(ack.sequence, event.clone()),
                    Err(()) => self.publish_again(event).await,
                }
            }
        }
    }

    async fn publish_again(&self, event: &Sent) {
        let stored = poll(WITHIN, async || {
            let ack = self.try_publish(event).await.ok()?.await.ok()?;
            self.oracle().stored(ack.sequence, event.clone());
            Some(())
        });
        assert!(
            stored.await.is_some(),
            "{} was not stored in {WITHIN:?}",
            event.id
        );
    }

    /// Publishes one event and tells of it no one: neither waits, nor does the oracle know.
    pub(crate) async fn try_publish(
        &self,
        event: &Sent,
    ) -> Result<jetstream::context::PublishAckFuture, jetstream::context::PublishError> {
        let message = PublishMessage::build()
            .payload(event.payload.clone().into())
            .message_id(&event.id);
        self.jetstream.send_publish(event.subject.clone(), message).await
    }

    /// Waits until the condition is true; fails the test, with what can be seen, when that takes over 30 s.
    pub(crate) async fn eventually(&self, what: &str, condition: impl AsyncFnMut() -> bool) {
        self.eventually_within(WITHIN, what, condition).await;
    }

    /// The same with another bound.
    pub(crate) async fn eventually_within(
        &self,
        within: Duration,
        what: &str,
        mut condition: impl AsyncFnMut() -> bool,
    ) {
        let came = poll(within, async || {
            self.check_workers();
            condition().await.then_some(())
        });
        if came.await.is_none() {
            panic!("not in {within:?}: {what}\n{}", self.state().await);
        }
    }

    /// Fails the test if a worker ended that nobody ended.
    pub(crate) fn check_workers(&self) {
        for worker in self.workers() {
            if let Some(status) = worker.died() {
                panic!("{} died by itself: {status}", worker.name());
            }
        }
    }

    /// The single number a query answers; none while Postgres does not.
    pub(crate) async fn number(&self, query: &'static str) -> Option<i64> {
        sqlx::query_scalar(query).fetch_one(&self.db).await.ok()
    }

    /// Rows as JSON, for messages and for looking at columns by name.
    pub(crate) async fn rows(&self, query: &'static str) -> Vec<Value> {
        let rows = format!("SELECT to_jsonb(r) FROM ({query}) AS r");
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
            .fetch_all(&self.db)
            .await;
        rows.unwrap_or_default()
    }

    /// What a person wants to see when a test fails.
    async fn state(&self) -> String {
        let mut text = String::new();
        for (what, query) in [
            ("cursors", "SELECT * FROM stream_cursors"),
            ("losses", "SELECT * FROM stream_losses"),
            (
                "nominations",
                "SELECT * FROM nominations ORDER BY due_at LIMIT 10",
            ),
            (
                "open changes",
                "SELECT * FROM role_changes WHERE outcome IS NULL LIMIT 10",
            ),
            ("dead letters", "SELECT * FROM dead_letter_totals"),
        ] {
            for row in self.rows(query).await {
                let _ = writeln!(text, "{what}: {row}");
            }
        }
        text
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

/// Looks again and again until there is an answer.
pub(crate) async fn poll<T>(within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = look().await {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What a command printed.
pub(crate) fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}
