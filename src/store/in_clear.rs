//! Whether Postgres may be reached without TLS.
//!
//! Owns the selection of these addresses: those of another host. Must never show more of an address than its host.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Store;
use crate::config::is_this_host;

/// An address that may be reached without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InClear {
    /// The setting that contains it.
    pub setting: &'static str,
    /// The host.
    pub host: String,
    /// Its `sslmode`, `prefer` if none is set.
    pub mode: &'static str,
}

impl fmt::Display for InClear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, host, mode } = self;
        write!(
            f,
            "{setting}: sslmode={mode} allows a connection to {host} without TLS, with password and data in clear; add \
             sslmode=verify-full (or require, which checks no certificate) to the URL"
        )
    }
}

impl Store {
    /// The addresses of other hosts that may be reached without TLS.
    #[must_use]
    pub fn in_clear(&self) -> Vec<InClear> {
        let pooled = in_clear("DATABASE_URL", &self.pooled);
        let direct = in_clear("DATABASE_DIRECT_URL", &self.direct).filter(|_| self.pool.behind_pooler());
        pooled.into_iter().chain(direct).collect()
    }
}

fn in_clear(setting: &'static str, options: &PgConnectOptions) -> Option<InClear> {
    let mode = match options.get_ssl_mode() {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => return None,
    };
    let host = options.get_host().trim_matches(['[', ']']);
    let is_socket = options.get_socket().is_some() || host.starts_with('/');
    (!is_socket && !is_this_host(host)).then(|| InClear {
        setting,
        host: host.to_owned(),
        mode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_without_tls_are_named() {
        let named =
            |url: &str| in_clear("DATABASE_URL", &url.parse().expect("an address")).map(|found| found.host);
        for url in ["", "?sslmode=prefer", "?sslmode=disable", "?sslmode=allow"] {
            let url = format!("postgres://u:p@db.example/d{url}");
            assert_eq!(named(&url).as_deref(), Some("db.example"), "{url}");
        }
        for url in [
            "postgres://u@db.example/d?sslmode=require",
            "postgres://u@db.example/d?sslmode=verify-full",
            "postgres://u@127.0.0.2/d",
            "postgres://u@[::1]/d",
            "postgres://u@localhost/d",
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/d",
            "postgres://u@localhost/d?host=/var/run/postgresql",
        ] {
            assert_eq!(named(url), None, "{url}");
        }
    }
}
