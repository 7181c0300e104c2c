//! Settings of the connection to NATS: its servers, and the place of JetStream.
//!
//! Owns these settings, and which of them exclude each other. Must never start anything, and never show a URL: it may
//! contain a password.

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::check::{Check, Faults, is_this_host, set};
use super::nats_login::{NatsLogin, NatsLoginArgs};
use super::nats_tls::{NatsTls, NatsTlsArgs};

/// Default prefix of the subjects of the JetStream API.
const API: &str = "$JS.API";
/// Default prefix of the subjects of responses.
const INBOX: &str = "_INBOX";

/// Settings of the connection to NATS.
#[derive(Args, Clone, Debug)]
pub struct BusArgs {
    /// NATS with JetStream, as nats://host:port; several servers separated by commas. `tls://` requires TLS for all of them
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// Instead of `NATS_URL`: a file that holds it
    #[arg(long, env = "NATS_URL_FILE")]
    pub nats_url_file: Option<String>,
    /// The worker's login at NATS.
    #[command(flatten)]
    pub login: NatsLoginArgs,
    /// TLS.
    #[command(flatten)]
    pub tls: NatsTlsArgs,
    /// The domain of the JetStream that holds the streams, where a leaf node is in between [default: the server's domain]
    #[arg(long, env = "NATS_JETSTREAM_DOMAIN")]
    pub nats_jetstream_domain: Option<String>,
    /// Instead of the domain: the prefix of the subjects of the JetStream API, where another account exports it
    /// [default: $JS.API]
    #[arg(long, env = "NATS_JETSTREAM_API_PREFIX")]
    pub nats_jetstream_api_prefix: Option<String>,
    /// Prefix of the subjects on which responses arrive [default: _INBOX]
    #[arg(long, env = "NATS_INBOX_PREFIX")]
    pub nats_inbox_prefix: Option<String>,
}

/// Checked settings of the connection to NATS.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// One or more servers, separated by commas, without user and password.
    pub url: SecretString,
    /// The worker's login at NATS.
    pub login: NatsLogin,
    /// TLS.
    pub tls: NatsTls,
    /// Prefix of the subjects of the JetStream API.
    pub api_prefix: String,
    /// Prefix of the subjects on which responses arrive.
    pub inbox_prefix: String,
}

impl BusArgs {
    pub(super) fn check(&self, check: &mut Check) -> BusConfig {
        let (setting, schemes) = ("NATS_URL", ["nats", "tls"]);
        let url = check.secret(setting, self.nats_url.as_deref(), self.nats_url_file.as_deref());
        let url = check.servers(setting, url.as_deref(), &schemes, "nats://host:port");
        let (servers, users) = split(url.expose_secret());
        BusConfig {
            tls: self.tls.check(servers.contains("tls://"), check),
            login: self.login.check(users, check),
            url: servers.into(),
            api_prefix: self.api_prefix(check),
            inbox_prefix: self.inbox_prefix(check),
        }
    }

    /// Checks the settings of a command that needs only NATS.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(&self) -> Result<BusConfig, Faults> {
        let mut check = Check::default();
        let config = self.check(&mut check);
        check.end(config)
    }

    fn api_prefix(&self, check: &mut Check) -> String {
        let (of_domain, of_prefix) = ("NATS_JETSTREAM_DOMAIN", "NATS_JETSTREAM_API_PREFIX");
        match (
            set(self.nats_jetstream_domain.as_deref()),
            set(self.nats_jetstream_api_prefix.as_deref()),
        ) {
            (None, None) => API.to_owned(),
            (Some(domain), None) => {
                if !is_subject(domain) || domain.contains('.') {
                    check.fault(of_domain, domain, "the name of a JetStream domain, such as hub");
                }
                format!("$JS.{domain}.API")
            }
            (None, Some(prefix)) => subject(of_prefix, prefix, "JS.hub.API", check),
            (Some(_), Some(_)) => {
                let expected = "one of them: a domain D is the prefix $JS.D.API; unset the other";
                check.contradiction(&format!("{of_domain}, {of_prefix}"), "both are set", expected);
                API.to_owned()
            }
        }
    }

    fn inbox_prefix(&self, check: &mut Check) -> String {
        match set(self.nats_inbox_prefix.as_deref()) {
            None => INBOX.to_owned(),
            Some(prefix) => subject("NATS_INBOX_PREFIX", prefix, "rolekeeper.inbox", check),
        }
    }
}

impl BusConfig {
    /// Returns the first server on another host to which a password or a token may be sent unencrypted.
    #[must_use]
    pub fn in_clear(&self) -> Option<&str> {
        if self.tls.required || !self.login.is_readable() {
            return None;
        }
        let hosts = self.url.expose_secret().split(',').map(host);
        hosts.into_iter().find(|host| !is_this_host(host))
    }
}

fn subject(setting: &str, value: &str, example: &str, check: &mut Check) -> String {
    let prefix = value.trim_end_matches(".>").trim_end_matches('.');
    if !is_subject(prefix) {
        let expected = format!("the beginning of a subject without wildcards, such as {example}");
        check.fault(setting, value, &expected);
    }
    prefix.to_owned()
}

fn is_subject(text: &str) -> bool {
    let token = |token: &str| {
        !token.is_empty()
            && !token.contains(|c: char| c.is_whitespace() || c.is_control() || "*>".contains(c))
    };
    text.split('.').all(token)
}

/// Splits servers into their addresses, and the parts before an `@`.
fn split(url: &str) -> (String, Vec<SecretString>) {
    let mut users = Vec::new();
    let servers = url.split(',').map(str::trim).map(|server| {
        let (scheme, rest) = server
            .split_once("://")
            .map_or(("", server), |(scheme, rest)| (scheme, rest));
        let between = if scheme.is_empty() { "" } else { "://" };
        let host = rest.rsplit_once('@').map_or(rest, |(user, host)| {
            users.push(user.to_owned().into());
            host
        });
        format!("{scheme}{between}{host}")
    });
    let servers = servers.collect::<Vec<_>>().join(",");
    (servers, users)
}

/// Returns the host of a server.
fn host(server: &str) -> &str {
    let server = server.split_once("://").map_or(server, |(_, server)| server);
    let server = server.split(['/', '?']).next().unwrap_or_default();
    match server.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => server.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_taken_off_the_servers() {
        let (servers, users) = split("nats://u:p%40@h:1, h2:2,tls://t@[::1]:3");
        assert_eq!(servers, "nats://h:1,h2:2,tls://[::1]:3");
        let users: Vec<_> = users.iter().map(secrecy::ExposeSecret::expose_secret).collect();
        assert_eq!(users, ["u:p%40", "t"]);
        let hosts: Vec<_> = servers.split(',').map(host).collect();
        assert_eq!(hosts, ["h", "h2", "::1"]);
    }
}
