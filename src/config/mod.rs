//! The configuration, read from flags and environment and checked as a whole before any part starts.
//!
//! Owns defaults, ranges and contradictions. Must never print a secret, and never start anything.

mod act;
mod api;
mod args;
mod check;
mod credential;
mod empty;
mod erasure;
mod fold;
mod limits;
mod nats;
mod nats_login;
mod nats_tls;
mod restores;
mod secret;
mod streams;
mod tenant;
mod tenant_log;
mod trim;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use act::{ActArgs, ByArgs};
pub use api::{ApiArgs, ApiConfig, DEFAULT_GENRES, genres};
pub use args::{Auth0Args, DatabaseArgs, LogArgs, MigrateArgs, ServeArgs};
use check::Check;
pub use check::{Faults, is_this_host};
pub use credential::{ClientCredential, ClientKey};
pub use empty::without_empty_variables;
pub use erasure::ErasureArgs;
pub use fold::{FoldConfig, HorizonArgs};
pub use limits::BrakeArgs;
pub use nats::{BusArgs, BusConfig};
pub use nats_login::{NatsLogin, NatsLoginArgs, NatsProof};
pub use nats_tls::{NatsTls, NatsTlsArgs};
pub use restores::{ForbiddenArgs, RestoreArgs, RestoreConfig};
pub use secret::Kept;
pub use streams::{StreamLimits, StreamsArgs, StreamsConfig};
pub use tenant::{TenantArgs, TenantConfig};
pub use tenant_log::{GapFillerConfig, Start, TenantLogArgs, TenantLogConfig};
pub use trim::{TrimArgs, TrimConfig};

use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::limits::Own;
use rolekeeper_domain::pacer::RatePlan;

/// Checked settings of the connection to Postgres.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The database, through a pooler if one is used.
    pub url: SecretString,
    /// The database without a transaction pooler: a session of our own, for locks and LISTEN.
    pub direct_url: SecretString,
}

/// Checked settings of the calls to Auth0.
#[derive(Clone, Debug)]
pub struct Auth0Config {
    /// Canonical domain of the tenant.
    pub domain: String,
    /// Audience of the Management API, where it differs from the domain's default.
    pub audience: Option<String>,
    /// Client id of the machine-to-machine application; also identifies our own records in the tenant's log.
    pub client_id: String,
    /// Credential of the application.
    pub credential: ClientCredential,
    /// Extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Rate limits of the tenant's Auth0 plan.
    pub plan: RatePlan,
    /// Longest time of one call.
    pub timeout: Duration,
}

/// Checked settings of the public listener.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address of the webhook.
    pub listen: SocketAddr,
    /// Accepted values of the Authorization header: the current one, and the old one while it is rotated.
    pub log_stream_tokens: Vec<SecretString>,
    /// Present when the data API is served.
    pub api: Option<ApiConfig>,
}

/// The checked configuration of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// Postgres.
    pub database: DatabaseConfig,
    /// NATS.
    pub bus: BusConfig,
    /// Present when this worker serves HTTP on the public listener.
    pub http: Option<HttpConfig>,
    /// Present when this worker folds.
    pub fold: Option<FoldConfig>,
    /// Present when this worker reconciles.
    pub reconcile: Option<ReconcileConfig>,
    /// The tenant, where the settings name one.
    pub tenant: Option<TenantConfig>,
    /// Address of metrics and health.
    pub ops_listen: SocketAddr,
    /// This worker's rules file, if it has one. It is read while the worker runs.
    pub rules_file: Option<PathBuf>,
    /// Limits of restores, and roles that are never added.
    pub restores: RestoreConfig,
    /// The erasure key, where it is set.
    pub erasure_key: Option<ErasureKey>,
    /// Longest time of a stop.
    pub grace_period: Duration,
}

/// Checked settings of reconcile and the sweep.
#[derive(Clone, Debug)]
pub struct ReconcileConfig {
    /// Auth0.
    pub auth0: Auth0Config,
    /// Time between two runs of the sweep.
    pub sweep_interval: Duration,
    /// How long a read profile counts as verified.
    pub verify_after: Duration,
    /// The display name that is written for a user without one, if set.
    pub default_display_name: Option<DisplayName>,
    /// Settings of the gap filler and of the silence check.
    pub tenant_log: TenantLogConfig,
    /// Limits from this worker's own settings: they only tighten the limits in Postgres.
    pub own_limits: Own,
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

const STAGES: [&str; 3] = ["http", "fold", "reconcile"];
const PLANS: &str = "free, self-service, enterprise, enterprise-nonprod, or BURST:PER_SECOND such as 50:16 (BURST from 2 to \
                     500, PER_SECOND from 0.1 to 10000)";

impl DatabaseArgs {
    fn check(&self, check: &mut Check) -> DatabaseConfig {
        let expected = "postgres://user:password@host:port/database";
        let schemes = ["postgres", "postgresql"];
        let (pooled, direct) = ("DATABASE_URL", "DATABASE_DIRECT_URL");
        let file = self.database_url_file.as_deref();
        let url = check.secret(pooled, self.database_url.as_deref(), file);
        let url = check.url(pooled, url.as_deref(), &schemes, expected);
        let file = self.database_direct_url_file.as_deref();
        let direct_url = match check.secret(direct, self.database_direct_url.as_deref(), file) {
            Some(direct_url) => check.url(direct, Some(&direct_url), &schemes, expected),
            None => url.clone(),
        };
        DatabaseConfig { url, direct_url }
    }

    /// Checks the settings of a command that needs only Postgres.
    pub fn checked(&self) -> Result<DatabaseConfig, Faults> {
        let mut check = Check::default();
        let config = self.check(&mut check);
        check.end(config)
    }
}

/// Checks the settings of a command that needs Postgres and NATS.
pub fn check_parts(database: &DatabaseArgs, bus: &BusArgs) -> Result<(DatabaseConfig, BusConfig), Faults> {
    let mut check = Check::default();
    let config = (database.check(&mut check), bus.check(&mut check));
    check.end(config)
}

impl Auth0Args {
    fn check(&self, check: &mut Check) -> Auth0Config {
        let plan = self.auth0_plan.parse().unwrap_or_else(|_| {
            check.fault("AUTH0_PLAN", &self.auth0_plan, PLANS);
            RatePlan::Free
        });
        Auth0Config {
            domain: self.domain(check),
            audience: self.auth0_audience.clone(),
            client_id: check.text(
                "AUTH0_CLIENT_ID",
                self.auth0_client_id.as_deref(),
                "the client id of the application",
            ),
            credential: ClientCredential::check(self, check),
            ca_file: self.ca_file(check),
            plan,
            timeout: Duration::from_secs(check.number("AUTH0_TIMEOUT_S", &self.auth0_timeout_s, &(1..=120))),
        }
    }
}

impl Auth0Args {
    fn domain(&self, check: &mut Check) -> String {
        check.domain(
            "AUTH0_DOMAIN",
            self.auth0_domain.as_deref(),
            "a domain such as music.eu.auth0.com",
        )
    }

    fn ca_file(&self, check: &mut Check) -> Option<PathBuf> {
        check.file(
            "AUTH0_CA_FILE",
            self.auth0_ca_file.as_deref(),
            "a file of certificate authorities (PEM)",
        )
    }
}

impl ServeArgs {
    /// Checks all settings of `serve`. Reads the client's key.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self) -> Result<Config, Faults> {
        let mut check = Check::default();
        let stages = self.stages(&mut check);
        let runs = |stage: &str| stages.iter().any(|name| name == stage);
        let config = Config {
            database: self.database.check(&mut check),
            bus: self.bus.check(&mut check),
            http: runs("http").then(|| self.http(&mut check)),
            fold: runs("fold").then(|| FoldConfig {
                batch: check.number("FOLD_BATCH", &self.fold_batch, &(1..=50_000)),
                dedup_horizon: self.horizon.check(&mut check),
                trim: self.trim.check(&mut check),
                own_client_id: self.auth0.auth0_client_id.clone(),
                tenant: self.tenant.check(&self.auth0, &mut check),
            }),
            reconcile: runs("reconcile").then(|| ReconcileConfig {
                auth0: self.auth0.check(&mut check),
                sweep_interval: Duration::from_secs(check.number(
                    "SWEEP_INTERVAL_S",
                    &self.sweep_interval_s,
                    &(1..=86_400),
                )),
                verify_after: Duration::from_hours(check.number(
                    "VERIFY_AFTER_H",
                    &self.verify_after_h,
                    &(1..=8_760),
                )),
                default_display_name: check.display_name("DEFAULT_DISPLAY_NAME", &self.default_display_name),
                tenant_log: self.tenant_log.check(&mut check),
                own_limits: self.brake.own(&self.auth0, &mut check),
            }),
            tenant: TenantConfig::check(&self.auth0, &mut check),
            ops_listen: check.address("OPS_LISTEN", &self.ops_listen),
            rules_file: self
                .rules_file
                .as_ref()
                .filter(|path| !path.trim().is_empty())
                .map(PathBuf::from),
            restores: self.restores.check(&mut check),
            erasure_key: self.erasure.check(&mut check),
            grace_period: Duration::from_secs(check.number(
                "GRACE_PERIOD_S",
                &self.grace_period_s,
                &(1..=600),
            )),
        };
        check.end(config)
    }

    fn stages(&self, check: &mut Check) -> Vec<String> {
        let stages: Vec<String> = self
            .only
            .split(',')
            .map(|stage| stage.trim().to_owned())
            .filter(|stage| !stage.is_empty())
            .collect();
        if stages.is_empty() || stages.iter().any(|stage| !STAGES.contains(&stage.as_str())) {
            check.fault(
                "ONLY",
                &self.only,
                &format!("one or more of {}", STAGES.join(",")),
            );
        }
        stages
    }

    fn http(&self, check: &mut Check) -> HttpConfig {
        let expected = "the token of the log stream, 16 characters or more";
        let (setting, old_setting) = ("LOG_STREAM_TOKEN", "LOG_STREAM_TOKEN_OLD");
        let file = self.log_stream_token_file.as_deref();
        let current = check.secret(setting, self.log_stream_token.as_deref(), file);
        let mut log_stream_tokens = vec![check.token(setting, current.as_deref(), expected)];
        let file = self.log_stream_token_old_file.as_deref();
        if let Some(old) = check.secret(old_setting, self.log_stream_token_old.as_deref(), file) {
            log_stream_tokens.push(check.token(old_setting, Some(&old), expected));
        }
        HttpConfig {
            listen: check.address("LISTEN", &self.listen),
            log_stream_tokens,
            api: self.api.check(&self.auth0, check),
        }
    }
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
