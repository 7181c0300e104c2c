//! Collects the faults of all settings, so that a start refuses with every one of them at once.
//!
//! Owns the wording of a fault: setting, value, what is expected. Must never print a secret.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use secrecy::SecretString;

/// Every fault of the configuration, one line each.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Takes settings one by one and remembers what was wrong.
#[derive(Debug, Default)]
pub(super) struct Check {
    faults: Vec<String>,
}

impl Check {
    /// Notes a fault.
    pub(super) fn fault(&mut self, setting: &str, got: &str, expected: &str) {
        self.faults.push(format!(
            "{setting}: got \"{}\", expected {expected}",
            got.escape_debug()
        ));
    }

    /// Notes that settings which are there, or are not, do not go together; shows none of their values.
    pub(super) fn contradiction(&mut self, settings: &str, what: &str, expected: &str) {
        self.faults
            .push(format!("{settings}: {what}, expected {expected}"));
    }

    /// A setting that must be there and may be shown.
    pub(super) fn text(&mut self, setting: &str, value: Option<&str>, expected: &str) -> String {
        match value.map(str::trim) {
            Some(value) if !value.is_empty() => value.to_owned(),
            _ => {
                self.faults
                    .push(format!("{setting}: not set, expected {expected}"));
                String::new()
            }
        }
    }

    /// A URL with one of the given schemes; never shown, it may carry a password.
    pub(super) fn url(
        &mut self,
        setting: &str,
        value: Option<&str>,
        schemes: &[&str],
        expected: &str,
    ) -> SecretString {
        let url = self.text(setting, value, expected);
        let known = schemes.iter().any(|scheme| {
            url.strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix("://"))
                .is_some_and(|rest| !rest.is_empty())
        });
        if !url.is_empty() && !known {
            self.faults.push(format!(
                "{setting}: got a value that is not shown, expected {expected}"
            ));
        }
        SecretString::from(url)
    }

    /// A number inside a range.
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

    /// An address to listen on.
    pub(super) fn address(&mut self, setting: &str, value: &str) -> SocketAddr {
        value.trim().parse().unwrap_or_else(|_| {
            self.fault(setting, value, "an address such as 0.0.0.0:8080 or [::]:8080");
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, setting: &str, value: &str, words: &[(&str, T)]) -> T {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value.trim()) {
            return *meaning;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fault(setting, value, &format!("one of {}", known.join(", ")));
        words[0].1
    }

    /// The checked configuration, or all faults.
    pub(super) fn end<T>(self, config: T) -> Result<T, Faults> {
        if self.faults.is_empty() {
            Ok(config)
        } else {
            Err(Faults(self.faults))
        }
    }
}
