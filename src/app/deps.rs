//! Builds the tenant's clients, and the data API, from their configuration.
//!
//! Must never start a stage.

use std::sync::Arc;

use anyhow::Result;

use crate::auth0::{Bearer, BearerOptions, Client, ClientOptions, KeyFetcher, Reader};
use crate::bus::Bus;
use crate::config::{ApiConfig, Auth0Config};
use crate::flow::publish::Publish;
use crate::http::api::ApiDeps;
use crate::metrics::Metrics;
use crate::store::Store;

/// The dependencies of the data API, and the task that fetches the tenant's keys for it.
pub(super) fn data_api(
    config: ApiConfig,
    store: &Store,
    bus: &Bus,
    metrics: &Arc<Metrics>,
) -> Result<(ApiDeps, KeyFetcher)> {
    let ApiConfig {
        domain,
        ca_file,
        issuers,
        audience,
        scopes,
        burst,
        requests_per_s,
        publishes_per_day,
        cool_down,
        genres,
    } = config;
    let options = BearerOptions {
        domain,
        issuers,
        audience,
        ca_file,
        cool_down,
    };
    let (bearer, keys) = Bearer::new(options, Arc::clone(metrics))?;
    let deps = ApiDeps {
        bearer,
        store: store.clone(),
        publish: Publish::new(bus.clone()),
        metrics: Arc::clone(metrics),
        genres,
        scopes,
        burst,
        requests_per_s,
        publishes_per_day,
        prepared: Arc::default(),
    };
    Ok((deps, keys))
}

/// The reader of users, for a command.
///
/// # Errors
/// A setting cannot be used.
pub fn reader(config: &Auth0Config) -> Result<Reader> {
    Ok(Reader::new(&client(config)?))
}

/// The client of the tenant.
///
/// # Errors
/// A setting cannot be used.
pub fn client(config: &Auth0Config) -> Result<Client> {
    let Auth0Config {
        domain,
        audience,
        client_id,
        credential,
        ca_file,
        timeout,
        plan: _,
    } = config;
    Ok(Client::new(ClientOptions {
        domain: domain.clone(),
        audience: audience.clone(),
        client_id: client_id.clone(),
        credential: credential.clone(),
        request_timeout: *timeout,
        ca_file: ca_file.clone(),
    })?)
}
