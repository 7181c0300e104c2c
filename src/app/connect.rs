//! Connects to Postgres and NATS as configured.
//!
//! Owns the warnings about connections in clear, and the refusal of servers and addresses that cannot be used. Must never
//! hold a connection: the caller owns it.

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bus::{Bus, BusError, STREAMS};
use crate::config::{BusConfig, DatabaseConfig};
use crate::store::Store;

/// Opens the pool for Postgres as configured; connections are made when needed.
///
/// # Errors
/// An address cannot be used.
pub fn store(config: &DatabaseConfig) -> Result<Store> {
    let store = Store::new(&config.url, &config.direct_url)?;
    for clear in store.in_clear() {
        warn!("{clear}");
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

/// Connects a command that only reads to Postgres: it needs no lock, so any address serves it.
///
/// # Errors
/// Postgres is not reachable, or has a schema of another release.
pub async fn connect_to_read(config: &DatabaseConfig) -> Result<Store> {
    let store = store(config)?.for_reading();
    store.check_to_read().await?;
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

/// Opens a connection for each fold: a message may end the connection on which it comes.
pub(super) async fn deliveries(config: &BusConfig, folds: bool) -> Result<Vec<Bus>> {
    let mut deliveries = Vec::new();
    for _ in STREAMS.iter().filter(|_| folds) {
        deliveries.push(Bus::connect(config).await?);
    }
    Ok(deliveries)
}

/// Ends the worker when the first connected server is too old. The folds check a later one, stop and report it: a
/// cluster under upgrade does not end its workers.
pub(super) async fn refuse_old_server(bus: Bus, stop: CancellationToken) -> Result<(), BusError> {
    if let Some(checked) = stop.run_until_cancelled(bus.wait_for_supported_server()).await {
        checked?;
    }
    stop.cancelled().await;
    Ok(())
}
