//! Settings of `simulate`.
//!
//! Owns which settings the command needs: it reads Postgres and NATS, and calls Auth0 never.

use clap::Args;

use super::auth0::plan;
use super::bus::{BusArgs, BusConfig};
use super::check::{Check, Faults};
use super::database::{DatabaseArgs, DatabaseConfig};
use super::erasure::ErasureArgs;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::pacer::RatePlan;

/// Settings of `simulate`.
#[derive(Args, Clone, Debug)]
pub struct SimulateSettings {
    /// Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS.
    #[command(flatten)]
    pub bus: BusArgs,
    /// The key for erased users.
    #[command(flatten)]
    pub erasure: ErasureArgs,
    /// The tenant's plan, for its rate limits, as for `rolekeeper serve`
    #[arg(long, env = "AUTH0_PLAN", default_value = "free")]
    pub auth0_plan: String,
}

/// The checked configuration of `simulate`.
#[derive(Clone, Debug)]
pub struct SimulateConfig {
    /// Postgres.
    pub database: DatabaseConfig,
    /// NATS.
    pub bus: BusConfig,
    /// The erasure key, where it is set.
    pub erasure_key: Option<ErasureKey>,
    /// Rate limits of the tenant's Auth0 plan.
    pub plan: RatePlan,
}

impl SimulateSettings {
    /// Checks all settings of the command.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self) -> Result<SimulateConfig, Faults> {
        let mut check = Check::default();
        let config = SimulateConfig {
            database: self.database.check(&mut check),
            bus: self.bus.check(&mut check),
            erasure_key: self.erasure.check(&mut check),
            plan: plan(&self.auth0_plan, &mut check),
        };
        check.end(config)
    }
}
