//! Collects the faults of all settings, so that a refused start reports all of them at once.
//!
//! Owns the wording of a fault: setting, value, expected value. Must never print a secret.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;

use rolekeeper_domain::display_name::DisplayName;

/// Shortest accepted token of the log stream.
const MIN_TOKEN_BYTES: usize = 16;

/// Every fault of the configuration, one line each.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Returns the faults, one text each.
    #[must_use]
    pub fn lines(self) -> Vec<String> {
        self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Checks settings one by one and collects their faults.
#[derive(Debug, Default)]
pub(super) struct Check {
    faults: Vec<String>,
    /// Settings that are set and have a noted fault: they have no value, but must not be reported as missing.
    faulty: HashSet<&'static str>,
}

impl Check {
    /// Notes a fault, with the value.
    pub(super) fn fault(&mut self, setting: &str, got: &str, expected: &str) {
        self.faults.push(format!(
            "{setting}: got \"{}\", expected {expected}",
            got.escape_debug()
        ));
    }

    /// Notes that settings contradict each other, by being set or unset; shows none of their values.
    pub(super) fn contradiction(&mut self, settings: &str, what: &str, expected: &str) {
        self.faults
            .push(format!("{settings}: {what}, expected {expected}"));
    }

    /// Notes that the setting is set and has a fault of its own.
    pub(super) fn faulty(&mut self, setting: &'static str) {
        self.faulty.insert(setting);
    }

    /// Returns whether a fault of the setting was noted by [`Self::faulty`].
    pub(super) fn is_faulty(&self, setting: &str) -> bool {
        self.faulty.contains(setting)
    }

    /// Returns a setting that must be set and may be shown.
    pub(super) fn text(&mut self, setting: &str, value: Option<&str>, expected: &str) -> String {
        match value.map(str::trim) {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ if self.is_faulty(setting) => String::new(),
            _ => {
                self.faults
                    .push(format!("{setting}: not set, expected {expected}"));
                String::new()
            }
        }
    }

    /// Returns a token that clients send to the worker; a short one is refused, since it is easily guessed.
    pub(super) fn token(&mut self, setting: &str, value: Option<&str>, expected: &str) -> SecretString {
        let token = self.text(setting, value, expected);
        if !token.is_empty() && token.len() < MIN_TOKEN_BYTES {
            self.not_shown(setting, expected);
        }
        SecretString::from(token)
    }

    /// Notes a fault without the value.
    pub(super) fn not_shown(&mut self, setting: &str, expected: &str) {
        self.faults.push(format!(
            "{setting}: got a value that is not shown, expected {expected}"
        ));
    }

    /// Returns a URL with one of the given schemes; it is never shown, since it may contain a password.
    pub(super) fn url(
        &mut self,
        setting: &str,
        value: Option<&str>,
        schemes: &[&str],
        expected: &str,
    ) -> SecretString {
        let url = self.text(setting, value, expected);
        if !url.is_empty() && !is_url(&url, schemes) {
            self.not_shown(setting, expected);
        }
        SecretString::from(url)
    }

    /// Returns servers separated by commas: a URL, and then URLs or `host:port`. They are never shown, as in [`Self::url`].
    pub(super) fn servers(
        &mut self,
        setting: &str,
        value: Option<&str>,
        schemes: &[&str],
        expected: &str,
    ) -> SecretString {
        let servers = self.text(setting, value, expected);
        let mut first = true;
        let mut known = |server: &str| {
            let bare = !std::mem::take(&mut first) && !server.contains("://");
            is_url(server, schemes) || (bare && is_url(&format!("{}://{server}", schemes[0]), schemes))
        };
        if !servers.is_empty() && !servers.split(',').map(str::trim).all(&mut known) {
            self.not_shown(setting, expected);
        }
        SecretString::from(servers)
    }

    /// Returns the host of the tenant; a loopback host may be `http://127.0.0.1:port`.
    pub(super) fn domain(&mut self, setting: &str, value: Option<&str>, expected: &str) -> String {
        let domain = self.text(setting, value, expected);
        if domain.contains('@') {
            // The part before the @ may be a password.
            self.not_shown(setting, expected);
        } else if !domain.is_empty() && !is_domain(&domain) {
            self.fault(setting, &domain, expected);
        }
        domain
    }

    /// Returns the path of a readable file, if one is set.
    pub(super) fn file(&mut self, setting: &str, value: Option<&str>, expected: &str) -> Option<PathBuf> {
        let path = value.filter(|path| !path.trim().is_empty())?;
        if let Err(error) = std::fs::File::open(path) {
            self.fault(setting, path, &format!("{expected}; {error}"));
        }
        Some(path.into())
    }

    /// Returns a number inside a range.
    pub(super) fn number<T>(&mut self, setting: &str, value: &str, range: &RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + fmt::Display + Copy,
    {
        match value.trim().parse::<T>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.fault(
                    setting,
                    value,
                    &format!("a number from {} to {}", range.start(), range.end()),
                );
                *range.start()
            }
        }
    }

    /// Returns a display name, if one is set.
    pub(super) fn display_name(&mut self, setting: &str, value: &str) -> Option<DisplayName> {
        if value.is_empty() {
            return None;
        }
        let name = DisplayName::parse(value);
        if name.is_err() {
            let expected = "nothing, or 1 to 100 characters, not only blanks and without control characters";
            self.fault(setting, value, expected);
        }
        name.ok()
    }

    /// Returns an address to listen on.
    pub(super) fn address(&mut self, setting: &str, value: &str) -> SocketAddr {
        value.trim().parse().unwrap_or_else(|_| {
            self.fault(setting, value, "an address such as 0.0.0.0:8080 or [::]:8080");
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    /// Returns the meaning of one of a few words.
    pub(super) fn word<T: Copy>(&mut self, setting: &str, value: &str, words: &[(&str, T)]) -> T {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value.trim()) {
            return *meaning;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fault(setting, value, &format!("one of {}", known.join(", ")));
        words[0].1
    }

    /// Returns the checked configuration, or all faults.
    pub(super) fn end<T>(mut self, config: T) -> Result<T, Faults> {
        // Two parts may check the same setting: its fault is reported once.
        let mut seen = HashSet::new();
        self.faults.retain(|fault| seen.insert(fault.clone()));
        if self.faults.is_empty() {
            Ok(config)
        } else {
            Err(Faults(self.faults))
        }
    }
}

/// Returns whether the text looks like a URL: a known scheme, a rest that is not empty, and a valid port. The client that
/// connects parses it in full.
fn is_url(url: &str, schemes: &[&str]) -> bool {
    let known = |(scheme, rest): (&str, &str)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let server = authority.rsplit('@').next().unwrap_or_default();
        schemes.contains(&scheme) && !rest.is_empty() && port_of(server).is_none_or(is_port)
    };
    url.split_once("://").is_some_and(known)
}

/// Returns whether a host, without brackets, is the host of the worker.
#[must_use]
pub fn is_this_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_domain(domain: &str) -> bool {
    let (scheme, server) = domain.split_once("://").unwrap_or(("https", domain));
    let port = port_of(server);
    let host = port.map_or(server, |port| &server[..server.len() - port.len() - 1]);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = is_this_host(bare);
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let written = bare.parse::<IpAddr>().is_ok() || (!host.is_empty() && host.chars().all(name));
    let reachable = scheme == "https" || (scheme == "http" && loopback);
    written && reachable && port.is_none_or(is_port)
}

/// Returns the part after the colon of `host:port`; the colons of an IPv6 address are inside brackets.
fn port_of(server: &str) -> Option<&str> {
    let behind_address = server.rfind(']').map_or(0, |bracket| bracket + 1);
    server[behind_address..].rsplit_once(':').map(|(_, port)| port)
}

fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok()
}

/// Returns a value that is set and not blank.
pub(super) fn set(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_domains_are_told_by_their_shape() {
        for good in [
            "nats://h",
            "nats://u:p@h:4222",
            "tls://[::1]:4222",
            "nats://u:p@h/x?y=1:2",
        ] {
            assert!(is_url(good, &["nats", "tls"]), "{good}");
        }
        for bad in [
            "h",
            "nats://",
            "http://h",
            "nats://h:port",
            "nats://h:99999",
            "nats://u:pa/ss@h",
        ] {
            assert!(!is_url(bad, &["nats", "tls"]), "{bad}");
        }
        for good in [
            "m.eu.auth0.com",
            "https://m.eu.auth0.com",
            "localhost:3000",
            "http://127.0.0.1:3000",
            "http://[::1]:3",
        ] {
            assert!(is_domain(good), "{good}");
        }
        for bad in [
            "http://m.eu.auth0.com",
            "m.eu.auth0.com/",
            "ftp://localhost",
            "a b",
            "https://",
            "m:port",
            "[::1",
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
