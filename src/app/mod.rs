//! Builds everything from the configuration and spawns the stages.
//!
//! Owns the wiring. Must never do a stage's work. It destructures the configuration completely, so that an unused
//! setting does not compile.

mod connect;
mod console;
mod deps;
mod discover;
mod listeners;
mod prepare;
mod shared;
mod stages;

use std::sync::Arc;

use anyhow::{Error, Result};
use secrecy::ExposeSecret;
use tracing::info;

use crate::auth0::{SetupError, canonical_domain};
use crate::bus::STREAMS;
use crate::config::{Config, TenantConfig};
use crate::flow::fold::Source;
use crate::http::Connections;
use crate::lifecycle::{End, Lifecycle, Readiness, process_name};
use crate::metrics::Metrics;
use crate::telemetry;
use crate::traces::Traces;
pub use connect::{bus, connect, connect_to_read, store};
use connect::{deliveries, refuse_old_server};
pub use deps::{client, reader};
pub use discover::discover;
use listeners::{serve_ops, serve_public};
use shared::Shared;
use stages::Stages;

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
        console: console_config,
        rules_file,
        restores,
        erasure_key,
        traces,
        grace_period,
    } = config;
    let tenant = tenant.as_ref().map(canonical).transpose()?;
    telemetry::log_panics();
    let traces = traces.as_ref().map(ExposeSecret::expose_secret);
    let traces = Traces::start(traces, &process_name()).map_err(Error::msg)?;
    let lifecycle = Lifecycle::default();
    let readiness = Readiness::default();
    await_stages(&readiness, fold.is_some(), reconcile.is_some());
    let store = store(&database)?.with_erasure_key(erasure_key);
    let bus = bus(&bus_config).await?;
    lifecycle.spawn("nats", refuse_old_server(bus.clone(), lifecycle.stopping()));
    let client = reconcile
        .as_ref()
        .map(|reconcile| client(&reconcile.auth0))
        .transpose()?;
    let shared = Shared {
        store,
        bus,
        metrics: Arc::new(Metrics::new(&STREAMS)),
        readiness,
        lifecycle: lifecycle.clone(),
    };
    let connections = Connections::share_out();
    let console = console_config
        .map(|config| console::console(&shared, config, restores.forbidden.clone(), connections.ops));
    serve_ops(&shared, ops_listen, connections.ops, console).await?;
    let serving = match http {
        Some(http) => serve_public(&shared, http, connections.public).await?,
        None => None,
    };
    let stages = Stages {
        deliveries: deliveries(&bus_config, fold.is_some()).await?,
        fold,
        reconcile,
        rules_file,
        restores,
        client,
        tenant,
        serving,
    };
    lifecycle.spawn("worker", stages.run(shared));
    let end = lifecycle.run(grace_period).await?;
    traces.stop().await;
    ended(end)
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

/// Marks every configured stage as not ready, so that `/readyz` fails until the stages have started.
fn await_stages(readiness: &Readiness, folds: bool, reconciles: bool) {
    let folds = [Source::AppEvents.stage(), Source::Auth0Logs.stage()]
        .into_iter()
        .filter(|_| folds);
    for stage in folds.chain(reconciles.then_some("reconcile")) {
        readiness.not_ready(stage, "starting");
    }
}
