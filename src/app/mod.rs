//! Builds everything from the configuration and spawns the stages.
//!
//! Owns the wiring. Must never do a stage's work. It destructures the configuration completely, so that an unused
//! setting does not compile.

mod deps;
mod prepare;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::auth0::{Client, LogReader, Reader, SetupError, Writer, canonical_domain};
use crate::bus::{Bus, BusError, STREAMS};
use crate::config::{
    BusConfig, Config, DatabaseConfig, FoldConfig, HttpConfig, ReconcileConfig, RestoreConfig, TenantConfig,
};
use crate::flow::accept::Accept;
use crate::flow::fold::{Fold, Source};
use crate::flow::leader::{Deps, Leader};
use crate::flow::limits::LimitsKeeper;
use crate::flow::rules::{RulesKeeper, this_worker};
use crate::flow::rules_file::RulesFile;
use crate::flow::silence::DeliveryMonitor;
use crate::http::api;
use crate::http::{self, Connections, ops, webhook};
use crate::lifecycle::{End, Lifecycle, Readiness};
use crate::metrics::Metrics;
use crate::store::{InClear, Store, StoreError};
use crate::telemetry;
use deps::{client, data_api};
use prepare::{prepare, stay_bound};

/// Opens the pool for Postgres as configured; connections are made when needed.
///
/// # Errors
/// An address cannot be used.
fn store(config: &DatabaseConfig) -> Result<Store> {
    let store = Store::new(&config.url, &config.direct_url)?;
    for InClear { setting, host, mode } in store.in_clear() {
        warn!(
            "{setting}: sslmode={mode} allows a connection to {host} without TLS, with password and data in clear; add \
             sslmode=verify-full (or require, which checks no certificate) to the URL"
        );
    }
    Ok(store)
}

/// Connects a command to Postgres, and refuses an address that cannot keep locks.
///
/// # Errors
/// An address cannot be used, or Postgres is not reachable.
pub async fn connect(config: &DatabaseConfig) -> Result<Store> {
    let store = store(config)?;
    store.check_sessions().await?;
    Ok(store)
}

/// Connects to NATS as configured, in the background.
///
/// # Errors
/// A setting cannot be used.
pub async fn bus(config: &BusConfig) -> Result<Bus> {
    if let Some(host) = config.in_clear() {
        warn!(
            "NATS_URL: {host} may be reached without TLS, which sends the password or token in clear; set \
             NATS_TLS=require, or tls:// in the URL"
        );
    }
    Ok(Bus::connect(config).await?)
}

/// Runs a worker until the stop is requested.
///
/// # Errors
/// The worker could not start, or a stage ended by itself.
pub async fn serve(config: Config) -> Result<()> {
    let Config {
        database,
        bus: bus_config,
        http,
        fold,
        reconcile,
        tenant,
        ops_listen,
        rules_file,
        restores,
        erasure_key,
        grace_period,
    } = config;
    let tenant = tenant.as_ref().map(canonical).transpose()?;
    let mut serving = None;
    telemetry::log_panics();
    let lifecycle = Lifecycle::default();
    let readiness = Readiness::default();
    await_stages(&readiness, fold.is_some(), reconcile.is_some());
    let store = store(&database)?.with_erasure_key(erasure_key);
    let bus = bus(&bus_config).await?;
    lifecycle.spawn("nats", refuse_old_server(bus.clone(), lifecycle.stopping()));
    let metrics = Arc::new(Metrics::new(&STREAMS));
    let client = reconcile
        .as_ref()
        .map(|reconcile| client(&reconcile.auth0))
        .transpose()?;

    let ops = ops::Ops {
        metrics: Arc::clone(&metrics),
        readiness: readiness.clone(),
        store: store.for_ops(),
        accept: Accept::new(bus.clone()),
        streams: &STREAMS,
    };
    let connections = Connections::share_out();
    let listener = listen("OPS_LISTEN", ops_listen).await?;
    let stop = lifecycle.stopping();
    lifecycle.spawn(
        "ops",
        http::serve(listener, ops::routes(ops), connections.ops, stop),
    );
    if let Some(HttpConfig {
        listen: address,
        log_stream_tokens: tokens,
        api,
    }) = http
    {
        let listener = listen("LISTEN", address).await?;
        let monitor = DeliveryMonitor::default();
        lifecycle.spawn(
            "deliveries",
            monitor.clone().run(store.clone(), lifecycle.stopping()),
        );
        let mut routes = webhook::routes(webhook::Webhook {
            accept: Accept::new(bus.clone()),
            tokens,
            monitor,
            metrics: Arc::clone(&metrics),
        });
        if let Some(config) = api {
            let (deps, keys) = data_api(config, &store.for_api(), &bus, &metrics)?;
            serving = Some(Arc::clone(&deps.prepared));
            readiness.not_ready("start", "starting");
            lifecycle.spawn("keys", keys.run(lifecycle.stopping()));
            routes = routes.merge(api::routes(deps));
        } else {
            info!("the data API is not served: API_AUDIENCE is not set");
        }
        let serve = http::serve(listener, routes, connections.public, lifecycle.stopping());
        lifecycle.spawn("http", serve);
        // Without the bus the webhook responds 503, which makes Auth0 send again.
        readiness.ready_for_good("http", "listening");
    }

    let deliveries = deliveries(&bus_config, fold.is_some()).await?;
    let worker = Worker {
        fold,
        reconcile,
        store,
        deliveries,
        bus,
        metrics,
        readiness,
        rules_file,
        restores,
        client,
        tenant,
        serving,
        lifecycle: lifecycle.clone(),
    };
    lifecycle.spawn("worker", worker.run());
    ended(lifecycle.run(grace_period).await?)
}

fn ended(end: End) -> Result<()> {
    match end {
        End::Clean => {
            info!("stopped");
            Ok(())
        }
        End::Cut => anyhow::bail!("stopped before all in-flight work was finished"),
        End::Crash => anyhow::bail!("a stage ended by itself"),
    }
}

fn canonical(tenant: &TenantConfig) -> Result<String, SetupError> {
    canonical_domain(&tenant.domain, tenant.audience.as_deref())
}

/// Opens a connection for each fold: a message may end the connection on which it comes.
async fn deliveries(config: &BusConfig, folds: bool) -> Result<Vec<Bus>> {
    let mut deliveries = Vec::new();
    for _ in STREAMS.iter().filter(|_| folds) {
        deliveries.push(Bus::connect(config).await?);
    }
    Ok(deliveries)
}

/// Ends the worker when the first connected server is too old. The folds check a later one, stop and report it: a
/// cluster under upgrade does not end its workers.
async fn refuse_old_server(bus: Bus, stop: CancellationToken) -> Result<(), BusError> {
    if let Some(checked) = stop.run_until_cancelled(bus.wait_for_supported_server()).await {
        checked?;
    }
    stop.cancelled().await;
    Ok(())
}

/// Marks every configured stage as not ready, so that `/readyz` fails until the stages have started.
fn await_stages(readiness: &Readiness, folds: bool, reconciles: bool) {
    let folds = [Source::AppEvents.stage(), Source::Auth0Logs.stage()]
        .into_iter()
        .filter(|_| folds);
    for stage in folds.chain(reconciles.then_some("reconcile")) {
        readiness.not_ready(stage, "starting");
    }
}

/// The stages that need Postgres: they start once it is reachable.
struct Worker {
    fold: Option<FoldConfig>,
    reconcile: Option<ReconcileConfig>,
    store: Store,
    bus: Bus,
    deliveries: Vec<Bus>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    rules_file: Option<PathBuf>,
    restores: RestoreConfig,
    client: Option<Client>,
    /// Canonical domain of the tenant, where the settings name one.
    tenant: Option<String>,
    /// Set once the data API may be served.
    serving: Option<Arc<AtomicBool>>,
    lifecycle: Lifecycle,
}

impl Worker {
    async fn run(self) -> Result<(), StoreError> {
        let Self {
            fold,
            reconcile,
            store,
            bus,
            deliveries,
            metrics,
            readiness,
            rules_file,
            restores,
            client,
            tenant,
            serving,
            lifecycle,
        } = self;
        let stop = lifecycle.stopping();
        let own = reconcile.as_ref().map(|reconcile| reconcile.own_limits);
        let mut keeper = RulesKeeper {
            file: rules_file.map(RulesFile::new),
            forbidden: restores.forbidden.clone(),
            worker: this_worker(own.unwrap_or_default()),
            store: store.clone(),
            metrics: Arc::clone(&metrics),
            rules: watch::Sender::new(Arc::default()),
            limits: LimitsKeeper::new(store.clone(), own.unwrap_or_default(), readiness.clone()),
            readiness: readiness.clone(),
            said: None,
        };
        let (rules, limits) = (keeper.rules.subscribe(), keeper.limits.subscribe());
        let writes_facts = fold.is_some() || reconcile.is_some();
        if writes_facts || serving.is_some() {
            let first = writes_facts.then_some(&mut keeper);
            if !prepare(&store, first, tenant.as_deref(), &readiness, &stop).await? {
                return Ok(());
            }
            if let Some(serving) = &serving {
                serving.store(true, Ordering::Relaxed);
            }
            readiness.ready_for_good("start", "prepared");
        }
        if writes_facts {
            lifecycle.spawn("rules", keeper.run(stop.clone()));
        }
        if let Some(tenant) = tenant.filter(|_| writes_facts || serving.is_some()) {
            lifecycle.spawn("tenant", stay_bound(store.clone(), tenant, stop.clone()));
        }
        if let Some(FoldConfig {
            batch,
            dedup_horizon,
            trim,
            own_client_id,
            tenant,
        }) = fold
        {
            let (process, search) = (Uuid::now_v7(), Arc::default());
            for (source, deliveries) in [Source::AppEvents, Source::Auth0Logs].into_iter().zip(deliveries) {
                let stage = Fold {
                    source,
                    store: store.clone(),
                    bus: bus.clone(),
                    deliveries,
                    process,
                    search: Arc::clone(&search),
                    metrics: Arc::clone(&metrics),
                    readiness: readiness.clone(),
                    rules: rules.clone(),
                    batch,
                    dedup_horizon,
                    trim,
                    own_client_id: own_client_id.clone(),
                    tenant: tenant.clone(),
                    other_tenant: Arc::default(),
                };
                lifecycle.spawn(source.stage(), stage.run(stop.clone()));
            }
        }
        if let (Some(config), Some(client)) = (reconcile, client) {
            let stage = Leader::new(Deps {
                store: store.clone(),
                bus: bus.clone(),
                reader: Reader::new(&client),
                writer: Writer::new(&client),
                logs: LogReader::new(&client),
                metrics: Arc::clone(&metrics),
                readiness,
                rules,
                restores,
                limits,
                config,
            });
            lifecycle.spawn("reconcile", stage.run(stop.clone()));
        }
        // A stage that ends before the stop is a crash.
        stop.cancelled().await;
        Ok(())
    }
}

async fn listen(setting: &'static str, address: std::net::SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{setting}: cannot listen on {address}"))?;
    info!(setting, address = %listener.local_addr()?, "listening");
    Ok(listener)
}
