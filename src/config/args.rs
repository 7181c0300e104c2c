//! Flags and environment variables, as text.
//!
//! Owns names and help of every setting. Must never judge a value: `check` does that for all settings at once, so
//! that the operator sees every fault in one start.

use clap::Args;

use super::act::ByArgs;
use super::api::ApiArgs;
use super::erasure::ErasureArgs;
use super::fold::HorizonArgs;
use super::limits::BrakeArgs;
use super::nats::BusArgs;
use super::restores::RestoreArgs;
use super::streams::StreamsArgs;
use super::tenant::TenantArgs;
use super::tenant_log::TenantLogArgs;
use super::trim::TrimArgs;

/// Format and level of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// `text` or `json`
    #[arg(long, env = "LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: String,
    /// A level (`info`) or a filter (`info,rolekeeper=debug`)
    #[arg(long, env = "LOG_LEVEL", default_value = "info", global = true)]
    pub log_level: String,
}

/// Settings of the connection to Postgres.
#[derive(Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// Postgres, as postgres://user:password@host:port/database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Instead of `DATABASE_URL`: a file that holds it
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<String>,
    /// The same database without a transaction pooler in between; locks and LISTEN need a session
    /// [default: `DATABASE_URL`]
    #[arg(long, env = "DATABASE_DIRECT_URL", hide_env_values = true)]
    pub database_direct_url: Option<String>,
    /// Instead of `DATABASE_DIRECT_URL`: a file that holds it
    #[arg(long, env = "DATABASE_DIRECT_URL_FILE")]
    pub database_direct_url_file: Option<String>,
}

/// Settings of the calls to Auth0, and their limits.
#[derive(Args, Clone, Debug)]
pub struct Auth0Args {
    /// The tenant's canonical domain, such as music.eu.auth0.com
    #[arg(long, env = "AUTH0_DOMAIN")]
    pub auth0_domain: Option<String>,
    /// Audience of the Management API [default: `https://AUTH0_DOMAIN/api/v2/`]
    #[arg(long, env = "AUTH0_AUDIENCE")]
    pub auth0_audience: Option<String>,
    /// Client id of the machine-to-machine application
    #[arg(long, env = "AUTH0_CLIENT_ID")]
    pub auth0_client_id: Option<String>,
    /// The application's client secret, unless a key file is set; in the environment only, where other users cannot read it
    #[arg(long, env = "AUTH0_CLIENT_SECRET", hide_env_values = true)]
    pub auth0_client_secret: Option<String>,
    /// Instead of `AUTH0_CLIENT_SECRET`: a file that holds it
    #[arg(long, env = "AUTH0_CLIENT_SECRET_FILE")]
    pub auth0_client_secret_file: Option<String>,
    /// Instead of the secret: a file with the RSA private key (PEM) that signs assertions (`private_key_jwt`)
    #[arg(long, env = "AUTH0_CLIENT_KEY_FILE")]
    pub auth0_client_key_file: Option<String>,
    /// The key's id at Auth0 (`kid`), where the application has several keys
    #[arg(long, env = "AUTH0_CLIENT_KEY_ID")]
    pub auth0_client_key_id: Option<String>,
    /// A file of certificate authorities (PEM) to trust besides the system's
    #[arg(long, env = "AUTH0_CA_FILE")]
    pub auth0_ca_file: Option<String>,
    /// `off` for shadow mode: decide and audit, write nothing; `on` writes where `limits` allow it
    #[arg(long, env = "AUTH0_WRITES")]
    pub auth0_writes: Option<String>,
    /// The tenant's plan, for its rate limits: `free`, `self-service`, `enterprise`, `enterprise-nonprod`, or `BURST:PER_SECOND`
    /// (`BURST` from 2 to 500, `PER_SECOND` from 0.1 to 10000)
    #[arg(long, env = "AUTH0_PLAN", default_value = "free")]
    pub auth0_plan: String,
    /// Share of the rate limit left to the tenant's other clients, 0 to 0.9; can only tighten `limits`
    #[arg(long, env = "AUTH0_RESERVE")]
    pub auth0_reserve: Option<String>,
    /// Longest time of one call, in seconds
    #[arg(long, env = "AUTH0_TIMEOUT_S", default_value = "10")]
    pub auth0_timeout_s: String,
}

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
    /// Address of the ops listener (/metrics, /healthz, /readyz), which asks for no token: by default on this host alone
    #[arg(long, env = "OPS_LISTEN", default_value = "127.0.0.1:9090")]
    pub ops_listen: String,
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
    pub horizon: HorizonArgs,
    /// Trimming of the streams.
    #[command(flatten)]
    pub trim: TrimArgs,
    /// Seconds between two sweeps, which compare all users with the rules
    #[arg(long, env = "SWEEP_INTERVAL_S", default_value = "60")]
    pub sweep_interval_s: String,
    /// Hours for which a profile counts as verified after it was read
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
    /// Seconds that a stop may take to finish work in flight
    #[arg(long, env = "GRACE_PERIOD_S", default_value = "25")]
    pub grace_period_s: String,
}

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
