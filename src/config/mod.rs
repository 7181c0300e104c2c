//! The configuration, read from flags and environment and checked as a whole before any part starts.
//!
//! Owns one file for each subject, with its flags, values and checks. Must never print a secret, and never start anything.

mod act;
mod api;
mod args;
mod auth0;
mod brake;
mod bus;
mod check;
mod console;
mod credential;
mod database;
mod dead_letters;
mod discovery;
mod doctor;
mod empty;
mod erasure;
mod fold;
mod log;
mod migrate;
mod nats_login;
mod nats_tls;
mod restores;
mod secret;
mod simulate;
mod streams;
mod tenant;
mod tenant_log;
mod traces;
mod trim;
mod verify;

use check::Check;

pub use act::{ActArgs, ByArgs, ReasonedArgs};
pub use api::{ApiArgs, ApiConfig, DEFAULT_GENRES, genres};
pub use args::{Config, HttpConfig, ReconcileConfig, ServeArgs};
pub use auth0::{Auth0Args, Auth0Config};
pub use brake::BrakeArgs;
pub use bus::{BusArgs, BusConfig};
pub use check::{Faults, is_this_host};
pub use console::{ConsoleArgs, ConsoleConfig};
pub use credential::{ClientCredential, ClientKey, CredentialArgs};
pub use database::{DatabaseArgs, DatabaseConfig};
pub use dead_letters::{RequeueLettersArgs, RequeueLettersConfig};
pub use discovery::{DiscoveryArgs, DiscoveryConfig};
pub use doctor::{DoctorConfig, DoctorSettings, Webhook};
pub use empty::without_empty_variables;
pub use erasure::{DeletedArgs, ErasureArgs};
pub use fold::{DedupArgs, FoldConfig};
pub use log::LogArgs;
pub use migrate::{MigrateArgs, MigrateConfig};
pub use nats_login::{NatsLogin, NatsLoginArgs, NatsProof};
pub use nats_tls::{NatsTls, NatsTlsArgs};
pub use restores::{ForbiddenArgs, RestoreArgs, RestoreConfig};
pub use secret::SecretSource;
pub use simulate::{SimulateConfig, SimulateSettings};
pub use streams::{StreamLimits, StreamsArgs, StreamsConfig};
pub use tenant::{TenantArgs, TenantConfig};
pub use tenant_log::{GapFillerConfig, Start, TenantLogArgs, TenantLogConfig};
pub use traces::TracesArgs;
pub use trim::{TrimArgs, TrimConfig};
pub use verify::{VerifyConfig, VerifySettings};

/// Checks the settings of a command that needs Postgres and NATS.
pub fn check_parts(database: &DatabaseArgs, bus: &BusArgs) -> Result<(DatabaseConfig, BusConfig), Faults> {
    let mut check = Check::default();
    let config = (database.check(&mut check), bus.check(&mut check));
    check.end(config)
}
