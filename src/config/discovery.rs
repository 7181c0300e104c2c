//! Settings of `discover`.
//!
//! Owns which settings the command needs: Postgres, the calls to Auth0, and the key that identifies erased users.

use clap::Args;

use super::auth0::{Auth0Args, Auth0Config};
use super::check::{Check, Faults};
use super::database::{DatabaseArgs, DatabaseConfig};
use super::erasure::ErasureArgs;
use rolekeeper_domain::erasure::ErasureKey;

/// Settings of `discover`.
#[derive(Args, Clone, Debug)]
pub struct DiscoveryArgs {
    /// Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The calls to Auth0.
    #[command(flatten)]
    pub auth0: Auth0Args,
    /// The key for erased users.
    #[command(flatten)]
    pub erasure: ErasureArgs,
}

/// The checked configuration of `discover`.
#[derive(Clone, Debug)]
pub struct DiscoveryConfig {
    /// Postgres.
    pub database: DatabaseConfig,
    /// The calls to Auth0.
    pub auth0: Auth0Config,
    /// The share of the rate limit that the settings leave to other clients.
    pub reserve: Option<f64>,
    /// The erasure key, where it is set.
    pub erasure_key: Option<ErasureKey>,
}

impl DiscoveryArgs {
    /// Checks all settings of `discover`.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self) -> Result<DiscoveryConfig, Faults> {
        let mut check = Check::default();
        let config = DiscoveryConfig {
            database: self.database.check(&mut check),
            auth0: self.auth0.check(&mut check),
            reserve: self.auth0.reserve(&mut check),
            erasure_key: self.erasure.check(&mut check),
        };
        check.end(config)
    }
}
