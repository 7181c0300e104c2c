//! The two listeners of a worker, and what they serve.
//!
//! Owns the wiring of the ops listener, the webhook and the data API. Must never start a stage.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tracing::info;

use super::deps::data_api;
use super::shared::Shared;
use crate::bus::STREAMS;
use crate::config::HttpConfig;
use crate::flow::accept::Accept;
use crate::flow::silence::DeliveryMonitor;
use crate::http::{self, ops, webhook};
use crate::http::{api, console};

/// Opens the listener for metrics, health and, where it is configured, the console.
pub(super) async fn serve_ops(
    shared: &Shared,
    address: SocketAddr,
    connections: usize,
    console: Option<console::Parts>,
) -> Result<()> {
    let ops = ops::Ops {
        metrics: Arc::clone(&shared.metrics),
        readiness: shared.readiness.clone(),
        store: shared.store.for_ops(),
        accept: Accept::new(shared.bus.clone()),
        streams: &STREAMS,
    };
    let listener = listen("OPS_LISTEN", address).await?;
    let mut routes = ops::routes(ops);
    if let Some(parts) = console {
        routes = routes.merge(console::routes(parts));
        info!("the console is served on OPS_LISTEN, at /console");
    }
    let lifecycle = &shared.lifecycle;
    let serve = http::serve(listener, routes, connections, lifecycle.stopping());
    lifecycle.spawn("ops", serve);
    Ok(())
}

/// Opens the public listener for the webhook and, where it is configured, the data API. Returns the flag that lets the
/// data API respond, once Postgres is prepared.
pub(super) async fn serve_public(
    shared: &Shared,
    config: HttpConfig,
    connections: usize,
) -> Result<Option<Arc<AtomicBool>>> {
    let HttpConfig {
        listen: address,
        log_stream_tokens: tokens,
        api,
    } = config;
    let Shared {
        store,
        bus,
        metrics,
        readiness,
        lifecycle,
    } = shared;
    let mut serving = None;
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
        metrics: Arc::clone(metrics),
    });
    if let Some(config) = api {
        let (deps, keys) = data_api(config, &store.for_api(), bus, metrics)?;
        serving = Some(Arc::clone(&deps.prepared));
        readiness.not_ready("start", "starting");
        lifecycle.spawn("keys", keys.run(lifecycle.stopping()));
        routes = routes.merge(api::routes(deps));
    } else {
        info!("the data API is not served: API_AUDIENCE is not set");
    }
    let serve = http::serve(listener, routes, connections, lifecycle.stopping());
    lifecycle.spawn("http", serve);
    // Without the bus the webhook responds 503, which makes Auth0 send again.
    readiness.ready_for_good("http", "listening");
    Ok(serving)
}

async fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{setting}: cannot listen on {address}"))?;
    info!(setting, address = %listener.local_addr()?, "listening");
    Ok(listener)
}
