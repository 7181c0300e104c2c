//! Settings of `verify`.
//!
//! Owns which settings each of its comparisons needs: a comparison that is not asked for needs none.

use clap::Args;

use super::auth0::{Auth0Args, Auth0Config};
use super::bus::{BusArgs, BusConfig};
use super::check::{Check, Faults};
use super::database::{DatabaseArgs, DatabaseConfig};

/// Settings of `verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifySettings {
    /// Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS.
    #[command(flatten)]
    pub bus: BusArgs,
    /// The calls to Auth0.
    #[command(flatten)]
    pub auth0: Auth0Args,
}

/// The checked configuration of `verify`.
#[derive(Clone, Debug)]
pub struct VerifyConfig {
    /// Postgres.
    pub database: DatabaseConfig,
    /// NATS, where counts are compared.
    pub bus: Option<BusConfig>,
    /// The calls to Auth0, and the share of the rate limit that the settings leave to other clients, where roles are compared.
    pub auth0: Option<(Auth0Config, Option<f64>)>,
}

impl VerifySettings {
    /// Checks the settings of these comparisons.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self, counts: bool, roles: bool) -> Result<VerifyConfig, Faults> {
        let mut check = Check::default();
        let config = VerifyConfig {
            database: self.database.check(&mut check),
            bus: counts.then(|| self.bus.check(&mut check)),
            auth0: roles.then(|| (self.auth0.check(&mut check), self.auth0.reserve(&mut check))),
        };
        check.end(config)
    }
}
