//! Settings of `doctor`: those of a worker, and the public address of the webhook.
//!
//! Owns that the parts are checked one by one: a fault of one of them hides no check of another. Must never start anything.

use std::net::SocketAddr;

use clap::Args;

use super::args::ServeArgs;
use super::auth0::Auth0Config;
use super::bus::BusConfig;
use super::check::{Check, Faults, set};
use super::database::DatabaseConfig;
use super::tenant::TenantConfig;
use rolekeeper_domain::erasure::ErasureKey;

/// Settings of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorSettings {
    /// The settings of the worker.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Address of the webhook as Auth0 calls it, such as `https://roles.example.com/auth0/logs` [default: the listener `LISTEN` on
    /// this host]
    #[arg(long, env = "WEBHOOK_URL")]
    pub webhook_url: Option<String>,
}

/// The configuration of `doctor`; a part with a fault is missing.
#[derive(Clone, Debug)]
pub struct DoctorConfig {
    /// Every fault of the settings of the worker.
    pub faults: Vec<String>,
    /// Postgres.
    pub database: Option<DatabaseConfig>,
    /// NATS.
    pub bus: Option<BusConfig>,
    /// Auth0, where the worker's stages call it.
    pub auth0: Option<Auth0Config>,
    /// Whether the worker's stages call Auth0.
    pub reconciles: bool,
    /// Whether the gap filler reads the tenant's log.
    pub fills_gaps: bool,
    /// The tenant, where the settings name one.
    pub tenant: Option<TenantConfig>,
    /// The erasure key, where it is set.
    pub erasure_key: Option<ErasureKey>,
    /// Address of the webhook.
    pub webhook: Webhook,
}

/// The place at which the webhook is tried.
#[derive(Clone, Debug)]
pub enum Webhook {
    /// At this address.
    Url(String),
    /// At the worker's own listener.
    Listener(SocketAddr),
    /// The worker has no webhook, or its address has a fault.
    None,
}

impl DoctorSettings {
    /// Checks all settings of the worker.
    #[must_use]
    pub fn checked(&self) -> DoctorConfig {
        let Self { serve, webhook_url } = self;
        let runs = |stage: &str| serve.only.split(',').any(|name| name.trim() == stage);
        let faults = serve.checked().err();
        let part = |check: &mut Check| serve.auth0.check(check);
        DoctorConfig {
            faults: faults.map_or_else(Vec::new, Faults::lines),
            database: serve.database.checked().ok(),
            bus: checked(|check| serve.bus.check(check)),
            auth0: checked(part).filter(|_| runs("reconcile")),
            reconciles: runs("reconcile"),
            fills_gaps: checked(|check| serve.tenant_log.check(check))
                .is_some_and(|log| log.gap_filler.is_some()),
            tenant: checked(|check| TenantConfig::check(&serve.auth0, check)).flatten(),
            erasure_key: checked(|check| serve.erasure.check(check)).flatten(),
            webhook: match set(webhook_url.as_deref()) {
                Some(url) => Webhook::Url(url.to_owned()),
                None if runs("http") => checked(|check| check.address("LISTEN", &serve.listen))
                    .map_or(Webhook::None, Webhook::Listener),
                None => Webhook::None,
            },
        }
    }
}

/// Returns a part of the configuration; none where it has a fault, which the check of the whole reports.
fn checked<T>(part: impl FnOnce(&mut Check) -> T) -> Option<T> {
    let mut check = Check::default();
    let config = part(&mut check);
    check.end(config).ok()
}
