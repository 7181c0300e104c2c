//! Settings of `dead-letters requeue`.
//!
//! Owns which settings of a worker the command needs, to fold a message as that worker would.

use clap::Args;

use super::auth0::Auth0Args;
use super::bus::{BusArgs, BusConfig};
use super::check::{Check, Faults, set};
use super::database::{DatabaseArgs, DatabaseConfig};
use super::erasure::ErasureArgs;
use super::tenant::TenantArgs;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::tenant::TenantName;

/// Settings of `dead-letters requeue`.
#[derive(Args, Clone, Debug)]
pub struct RequeueLettersArgs {
    /// Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS.
    #[command(flatten)]
    pub bus: BusArgs,
    /// Auth0.
    #[command(flatten)]
    pub auth0: Auth0Args,
    /// The tenant's name.
    #[command(flatten)]
    pub tenant: TenantArgs,
    /// The key for erased users.
    #[command(flatten)]
    pub erasure: ErasureArgs,
}

/// The checked configuration of `dead-letters requeue`.
#[derive(Clone, Debug)]
pub struct RequeueLettersConfig {
    /// Postgres.
    pub database: DatabaseConfig,
    /// NATS.
    pub bus: BusConfig,
    /// Our own client id at Auth0, where it is set, and the tenant's name, where it is known.
    pub own: Option<(String, Option<TenantName>)>,
    /// The erasure key, where it is set.
    pub erasure_key: Option<ErasureKey>,
}

impl RequeueLettersArgs {
    /// Checks all settings of the command.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self) -> Result<RequeueLettersConfig, Faults> {
        let mut check = Check::default();
        let tenant = self.tenant.check(&self.auth0, &mut check);
        let client = set(self.auth0.auth0_client_id.as_deref());
        let config = RequeueLettersConfig {
            database: self.database.check(&mut check),
            bus: self.bus.check(&mut check),
            own: client.map(|client| (client.to_owned(), tenant)),
            erasure_key: self.erasure.check(&mut check),
        };
        check.end(config)
    }
}
