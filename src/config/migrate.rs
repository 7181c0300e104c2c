//! Settings of `migrate`.
//!
//! Owns which settings the command needs: both servers, the limits of the streams, and the operator.

use clap::Args;

use super::act::ByArgs;
use super::bus::{BusArgs, BusConfig};
use super::check::{Check, Faults};
use super::database::{DatabaseArgs, DatabaseConfig};
use super::streams::{StreamsArgs, StreamsConfig};

/// Settings of `migrate`.
#[derive(Args, Clone, Debug)]
pub struct MigrateArgs {
    /// Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS.
    #[command(flatten)]
    pub bus: BusArgs,
    /// The streams.
    #[command(flatten)]
    pub streams: StreamsArgs,
    /// The operator who migrates.
    #[command(flatten)]
    pub by: ByArgs,
}

/// The checked configuration of `migrate`.
#[derive(Clone, Debug)]
pub struct MigrateConfig {
    /// Postgres.
    pub database: DatabaseConfig,
    /// NATS.
    pub bus: BusConfig,
    /// Limits of the streams.
    pub streams: StreamsConfig,
}

impl MigrateArgs {
    /// Checks all settings of `migrate`.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self) -> Result<MigrateConfig, Faults> {
        let mut check = Check::default();
        let config = MigrateConfig {
            database: self.database.check(&mut check),
            bus: self.bus.check(&mut check),
            streams: self.streams.check(&mut check),
        };
        check.end(config)
    }
}
