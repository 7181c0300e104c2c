//! Settings of the connection to Postgres.
//!
//! Owns these settings: the database, and the way to it without a transaction pooler. Must never print a URL: it contains
//! a password.

use clap::Args;
use secrecy::SecretString;

use super::check::{Check, Faults};

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

/// Checked settings of the connection to Postgres.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The database, through a pooler if one is used.
    pub url: SecretString,
    /// The database without a transaction pooler: a session of our own, for locks and LISTEN.
    pub direct_url: SecretString,
}

impl DatabaseArgs {
    pub(super) fn check(&self, check: &mut Check) -> DatabaseConfig {
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
