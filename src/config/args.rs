//! Settings of `serve`.
//!
//! Owns the stages of a worker and which settings each of them needs. All settings are checked at once, so that the operator
//! sees every fault in one start. Must never start anything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::api::{ApiArgs, ApiConfig};
use super::auth0::{Auth0Args, Auth0Config};
use super::brake::BrakeArgs;
use super::bus::{BusArgs, BusConfig};
use super::check::{Check, Faults};
use super::console::{ConsoleArgs, ConsoleConfig};
use super::database::{DatabaseArgs, DatabaseConfig};
use super::erasure::{DeletedArgs, ErasureArgs};
use super::fold::{DedupArgs, FoldConfig};
use super::restores::{RestoreArgs, RestoreConfig};
use super::tenant::{TenantArgs, TenantConfig};
use super::tenant_log::{TenantLogArgs, TenantLogConfig};
use super::traces::TracesArgs;
use super::trim::TrimArgs;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::limits::Own;

const STAGES: [&str; 3] = ["http", "fold", "reconcile"];

/// Settings of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Postgres.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// NATS.
    #[command(flatten)]
    pub bus: BusArgs,
    /// Auth0.
    #[command(flatten)]
    pub auth0: Auth0Args,
    /// Stages this worker runs, separated by commas: http, fold, reconcile (which sweeps and announces too)
    #[arg(long, env = "ONLY", default_value = "http,fold,reconcile")]
    pub only: String,
    /// Address of the public listener (webhook, data API)
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: String,
    /// Address of the ops listener (/metrics, /healthz, /readyz, which ask for no token, and /console): by default on this host alone
    #[arg(long, env = "OPS_LISTEN", default_value = "127.0.0.1:9090")]
    pub ops_listen: String,
    /// The console.
    #[command(flatten)]
    pub console: ConsoleArgs,
    /// The token that Auth0's log stream or Event Stream sends in the Authorization header, with or without `Bearer `
    #[arg(long, env = "LOG_STREAM_TOKEN", hide_env_values = true)]
    pub log_stream_token: Option<String>,
    /// Instead of `LOG_STREAM_TOKEN`: a file that holds it
    #[arg(long, env = "LOG_STREAM_TOKEN_FILE")]
    pub log_stream_token_file: Option<String>,
    /// A second accepted value, while the first is rotated
    #[arg(long, env = "LOG_STREAM_TOKEN_OLD", hide_env_values = true)]
    pub log_stream_token_old: Option<String>,
    /// Instead of `LOG_STREAM_TOKEN_OLD`: a file that holds it
    #[arg(long, env = "LOG_STREAM_TOKEN_OLD_FILE")]
    pub log_stream_token_old_file: Option<String>,
    /// The data API.
    #[command(flatten)]
    pub api: ApiArgs,
    /// A rules file (TOML); it is put in force when its version is higher than the version of the rules in force
    #[arg(long, env = "RULES_FILE")]
    pub rules_file: Option<String>,
    /// Most events folded in one transaction, 1 to 50000
    #[arg(long, env = "FOLD_BATCH", default_value = "10000")]
    pub fold_batch: String,
    /// Dedup of event ids.
    #[command(flatten)]
    pub dedup_window: DedupArgs,
    /// Trimming of the streams.
    #[command(flatten)]
    pub trim: TrimArgs,
    /// Seconds between two sweeps, which compare all users with the rules, 1 to 86400
    #[arg(long, env = "SWEEP_INTERVAL_S", default_value = "60")]
    pub sweep_interval_s: String,
    /// Hours for which a profile counts as verified after it was read, 1 to 8760
    #[arg(long, env = "VERIFY_AFTER_H", default_value = "24")]
    pub verify_after_h: String,
    /// Display name that is written to `user_metadata.displayName` of every user without one, such as user [default: none is
    /// written]
    #[arg(
        long,
        env = "DEFAULT_DISPLAY_NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub default_display_name: String,
    /// The tenant's name.
    #[command(flatten)]
    pub tenant: TenantArgs,
    /// The tenant's log.
    #[command(flatten)]
    pub tenant_log: TenantLogArgs,
    /// Restored roles, and forbidden roles.
    #[command(flatten)]
    pub restores: RestoreArgs,
    /// The brake.
    #[command(flatten)]
    pub brake: BrakeArgs,
    /// The key for erased users.
    #[command(flatten)]
    pub erasure: ErasureArgs,
    /// The erasure of deleted users.
    #[command(flatten)]
    pub deleted: DeletedArgs,
    /// Traces.
    #[command(flatten)]
    pub traces: TracesArgs,
    /// Seconds that a stop may take to finish work in flight, 1 to 600
    #[arg(long, env = "GRACE_PERIOD_S", default_value = "25")]
    pub grace_period_s: String,
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
    /// Present when the console is served on the ops listener.
    pub console: Option<ConsoleConfig>,
    /// This worker's rules file, if it has one. It is read while the worker runs.
    pub rules_file: Option<PathBuf>,
    /// Limits of restores, and roles that are never added.
    pub restores: RestoreConfig,
    /// The erasure key, where it is set.
    pub erasure_key: Option<ErasureKey>,
    /// URL to which traces go, if they are exported.
    pub traces: Option<SecretString>,
    /// Longest time of a stop.
    pub grace_period: Duration,
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
    /// Time after which a user who was deleted at Auth0 is erased, if set.
    pub erase_deleted_after: Option<Duration>,
    /// Limits from this worker's own settings: they only tighten the limits in Postgres.
    pub own_limits: Own,
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
                dedup_window: self.dedup_window.check(&mut check),
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
                erase_deleted_after: self.deleted.check(&self.erasure, &mut check),
                own_limits: self.brake.own(&self.auth0, &mut check),
            }),
            tenant: TenantConfig::check(&self.auth0, &mut check),
            ops_listen: check.address("OPS_LISTEN", &self.ops_listen),
            console: self.console.check(&mut check),
            rules_file: self
                .rules_file
                .as_ref()
                .filter(|path| !path.trim().is_empty())
                .map(PathBuf::from),
            restores: self.restores.check(&mut check),
            erasure_key: self.erasure.check(&mut check),
            traces: self.traces.check(&mut check),
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
