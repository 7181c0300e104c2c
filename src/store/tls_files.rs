//! The files of certificates and keys that an address names.
//!
//! Owns that a file that cannot be read is named with its parameter: the error of a connection names neither. Must never show more of an
//! address.

use std::fs;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::StoreError;

/// Prefix of a path in the address that sqlx makes of its options.
const FILE: &str = "file: ";

/// Refuses options that name a file which cannot be read, of those that a connection reads.
pub(super) fn check(options: &PgConnectOptions) -> Result<(), StoreError> {
    let read: &[&str] = match options.get_ssl_mode() {
        PgSslMode::VerifyCa | PgSslMode::VerifyFull => &["sslrootcert", "sslcert", "sslkey"],
        PgSslMode::Require => &["sslcert", "sslkey"],
        PgSslMode::Prefer | PgSslMode::Allow | PgSslMode::Disable => &[],
    };
    for (parameter, value) in options.to_url_lossy().query_pairs() {
        let Some(path) = value.strip_prefix(FILE).filter(|_| read.contains(&&*parameter)) else {
            continue;
        };
        if let Err(why) = fs::read(path) {
            return Err(StoreError::Settings(format!(
                "{parameter}={path}: {why}; give it the path of a PEM file that this user can read"
            )));
        }
    }
    Ok(())
}
