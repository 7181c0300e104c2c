//! The erasure key, and when deleted users are erased.
//!
//! Owns the key's text form: hex or base64. Must never print it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use clap::Args;

use super::auth0::{Auth0Args, Auth0Config};
use super::check::{Check, Faults, set};
use super::database::{DatabaseArgs, DatabaseConfig};
use rolekeeper_domain::erasure::ErasureKey;

const SETTING: &str = "ERASURE_KEY";
const EXPECTED: &str = "32 bytes or more in hex or base64, such as `openssl rand -hex 32` makes";

/// Settings of the erasure key.
#[derive(Args, Clone, Debug)]
pub struct ErasureArgs {
    /// The key of the hashes that identify erased users, 32 bytes or more in hex or base64; it must never change. In
    /// the environment only, where other users cannot read it
    #[arg(long, env = "ERASURE_KEY", hide_env_values = true)]
    pub erasure_key: Option<String>,
    /// Instead of `ERASURE_KEY`: a file that holds it
    #[arg(long, env = "ERASURE_KEY_FILE")]
    pub erasure_key_file: Option<String>,
}

impl ErasureArgs {
    /// Returns the key, if one is set.
    pub(super) fn check(&self, check: &mut Check) -> Option<ErasureKey> {
        let text = check.secret(
            SETTING,
            self.erasure_key.as_deref(),
            self.erasure_key_file.as_deref(),
        )?;
        let key = bytes(text.trim()).and_then(|bytes| ErasureKey::new(&bytes));
        if key.is_none() {
            check.not_shown(SETTING, EXPECTED);
        }
        key
    }

    /// Checks the settings of a command that needs Postgres, and the key only if users were erased.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked_if_set(
        &self,
        database: &DatabaseArgs,
    ) -> Result<(DatabaseConfig, Option<ErasureKey>), Faults> {
        let mut check = Check::default();
        let config = database.check(&mut check);
        let key = self.check(&mut check);
        check.end((config, key))
    }

    /// Checks the settings of a command that needs Postgres, the tenant if `auth0` is given, and the key: always if `needed`, else
    /// only if users were erased.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked_with(
        &self,
        database: &DatabaseArgs,
        auth0: Option<&Auth0Args>,
        needed: bool,
    ) -> Result<(DatabaseConfig, Option<ErasureKey>, Option<Auth0Config>), Faults> {
        let mut check = Check::default();
        let config = database.check(&mut check);
        let key = self.check(&mut check);
        if needed && !self.is_set() {
            check.text(SETTING, None, EXPECTED);
        }
        let auth0 = auth0.map(|auth0| auth0.check(&mut check));
        check.end((config, key, auth0))
    }

    fn is_set(&self) -> bool {
        let settings = [&self.erasure_key, &self.erasure_key_file];
        settings.iter().any(|value| set(value.as_deref()).is_some())
    }
}

/// The setting of the erasure of users who were deleted at Auth0.
#[derive(Args, Clone, Debug)]
pub struct DeletedArgs {
    /// Days after which a user who was deleted at Auth0 is erased, 1 to 3650; needs `ERASURE_KEY` [default: never]
    #[arg(long, env = "ERASE_AFTER_DELETION_D")]
    pub erase_after_deletion_d: Option<String>,
}

impl DeletedArgs {
    /// Returns the time after which such a user is erased, if one is set.
    pub(super) fn check(&self, erasure: &ErasureArgs, check: &mut Check) -> Option<Duration> {
        let days = set(self.erase_after_deletion_d.as_deref())?;
        let setting = "ERASE_AFTER_DELETION_D";
        if !erasure.is_set() {
            check.contradiction(
                &format!("{setting}, {SETTING}"),
                "the former is set without the latter",
                "both, since an erasure needs the key",
            );
        }
        let days: u64 = check.number(setting, days, &(1..=3_650));
        Some(Duration::from_hours(days * 24))
    }
}

/// Returns the bytes of a text in hex or base64. A text in hex could be base64 too, so hex is tried first.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let pairs = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        return pairs.collect::<Result<_, _>>().ok();
    }
    let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    engines.iter().find_map(|engine| engine.decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_key_is_hex_or_base64() {
        assert_eq!(bytes("00fF"), Some(vec![0, 255]));
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(bytes(text), Some(vec![251, 255]), "{text}");
        }
        for bad in ["äöü", "0 1", "a*b"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
