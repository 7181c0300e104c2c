//! Setup of a world.
//!
//! Owns the settings of a worker in a test, and the one Postgres that tests share.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use rolekeeper_sandbox::servers::folder::Folder;
use rolekeeper_sandbox::servers::{Nats, NatsOptions, Postgres};
use rolekeeper_sandbox::tenant::{Client, Tenant, TenantOptions};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::OnceCell;

use super::publish::IN_FLIGHT;
use super::{CLIENT, LOG_TOKEN, World, text};
use crate::world::proxy::Proxy;

/// One Postgres for all tests that do not damage it; ends with the process, see `sandbox::servers`.
static SHARED_POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
/// The password of every user at nats-server, if it requires one.
pub(crate) const PASSWORD: &str = "p0123456789abcdef";
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// The settings of a world.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings of a story")]
pub(crate) struct Builder {
    workers: usize,
    env: Vec<(String, String)>,
    limits: Vec<(&'static str, f64)>,
    tenant: TenantOptions,
    nats: NatsOptions,
    own_postgres: bool,
    postgres_proxy: bool,
    nats_proxy: bool,
    least_rights: bool,
}

impl Default for Builder {
    /// One worker, no limits at the tenant, all connections direct.
    fn default() -> Self {
        Self {
            workers: 1,
            env: vec![],
            // No share of the rate is left to other clients, and few stories concern the brake.
            limits: vec![("reserve", 0.0), ("brake_revokes", 100.0)],
            tenant: TenantOptions::default(),
            nats: NatsOptions::default(),
            own_postgres: false,
            postgres_proxy: false,
            nats_proxy: false,
            least_rights: false,
        }
    }
}

impl Builder {
    /// Workers that start with the world; they are ready when it is.
    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// A setting of every command and worker.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a story writes `env(\"FOLD_BATCH\", 10)`"
    )]
    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// A setting of every command and worker, unless the story sets it.
    pub(crate) fn env_by_default(mut self, name: &str, value: &str) -> Self {
        // The last one counts.
        self.env.insert(0, (name.to_owned(), value.to_owned()));
        self
    }

    /// A limit of the database; settings of a worker only tighten it.
    pub(crate) fn limit(mut self, name: &'static str, value: f64) -> Self {
        self.limits.push((name, value));
        self
    }

    /// Behaviour of the tenant; the world sets its clients.
    pub(crate) fn tenant(mut self, options: TenantOptions) -> Self {
        self.tenant = options;
        self
    }

    /// Different settings of nats-server.
    pub(crate) fn nats(mut self, options: NatsOptions) -> Self {
        self.nats = options;
        self
    }

    /// A Postgres of its own, for a test that damages it.
    pub(crate) fn own_postgres(mut self) -> Self {
        self.own_postgres = true;
        self
    }

    /// Workers connect to Postgres through a proxy.
    pub(crate) fn postgres_proxy(mut self) -> Self {
        self.postgres_proxy = true;
        self
    }

    /// Workers connect to NATS through a proxy.
    pub(crate) fn nats_proxy(mut self) -> Self {
        self.nats_proxy = true;
        self
    }

    /// With the roles of `deploy/postgres/roles.sql` and the users of `deploy/nats/nats-server.conf`.
    pub(crate) fn least_rights(mut self) -> Self {
        let password = |name: &str| (format!("NATS_{name}_PASSWORD"), PASSWORD.to_owned());
        let passwords = ["MIGRATE", "ROLEKEEPER", "APP", "MAILER"].map(password);
        self.nats.config = Some((deployed("nats/nats-server.conf"), passwords.into()));
        self.least_rights = true;
        // Roles belong to the whole server.
        self.own_postgres()
    }

    /// Starts everything, with workers that only listen, and waits until the last one is connected to the bus.
    pub(crate) async fn listening(self) -> World {
        self.env("ONLY", "http").start().await.on_the_bus().await
    }

    /// Starts everything.
    pub(crate) async fn start(mut self) -> World {
        // reqwest needs a provider of TLS even for plain HTTP; an error means that there is one already.
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
        let client = login(self.least_rights)
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .connect(nats.url());
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .max_ack_inflight(2 * IN_FLIGHT)
            .build(client.await.expect("nats-server responds"));
        self.tenant.clients = vec![Client::new(CLIENT, "secret")];
        let tenant = Tenant::start(self.tenant).await.expect("the tenant starts");
        let postgres_port = postgres_proxy.as_ref().map_or(postgres.port(), Proxy::port);
        let nats_port = nats_proxy.as_ref().map_or(nats.port(), Proxy::port);
        let (run, nats_user) = if self.least_rights {
            roles(&url).await;
            ("rolekeeper_run", format!("rolekeeper:{PASSWORD}@"))
        } else {
            ("postgres", String::new())
        };
        let database_url = |user: &str| format!("postgres://{user}@127.0.0.1:{postgres_port}/{database}");
        let nats_url = format!("nats://{nats_user}127.0.0.1:{nats_port}");
        let mut env = settings(&tenant, database_url(run), nats_url);
        env.extend(self.env);
        let migrator = [
            database_url("rolekeeper_migrate"),
            format!("nats://rolekeeper_migrate:{PASSWORD}@127.0.0.1:{nats_port}"),
        ];
        let as_migrator = [
            ("DATABASE_URL", migrator[0].as_str()),
            ("NATS_URL", migrator[1].as_str()),
        ];
        let as_migrator = if self.least_rights { &as_migrator[..] } else { &[] };
        let mut world = World {
            tenant,
            nats: nats.into(),
            own_postgres: own.map(tokio::sync::Mutex::new),
            postgres_proxy,
            nats_proxy,
            db,
            jetstream,
            oracle: Mutex::default(),
            env,
            before_limits: false,
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("an HTTP client"),
            workers: Mutex::default(),
            folder: Folder::new("world").expect("a temporary folder"),
        };
        let output = world.command_with(&["migrate"], as_migrator).await;
        assert!(output.status.success(), "migrate: {}", text(&output));
        world.set_limits(self.limits).await;
        for _ in 0..self.workers {
            world.start_worker().await;
        }
        world
    }
}

/// The settings of every worker.
fn settings(tenant: &Tenant, database_url: String, nats_url: String) -> Vec<(String, String)> {
    [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("LOG_FORMAT", "json".into()),
        ("DATABASE_URL", database_url),
        ("NATS_URL", nats_url),
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
    .into()
}

/// The test's own connection to NATS.
fn login(least_rights: bool) -> async_nats::ConnectOptions {
    if least_rights {
        async_nats::ConnectOptions::with_user_and_password("rolekeeper_migrate".into(), PASSWORD.into())
    } else {
        async_nats::ConnectOptions::new()
    }
}

/// A file of `deploy/`.
pub(crate) fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Creates the three roles in a database, as an operator does.
pub(crate) async fn roles(url: &str) {
    let mut psql = tokio::process::Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f"]);
    psql.arg(deployed("postgres/roles.sql"));
    let output = psql.output().await.expect("psql runs");
    assert!(output.status.success(), "{}", text(&output));
}

async fn proxy(wanted: bool, port: u16) -> Option<Proxy> {
    if wanted {
        Some(Proxy::start(([127, 0, 0, 1], port).into()).await)
    } else {
        None
    }
}
