//! Settings of the console on the ops listener.
//!
//! Owns its two tokens. Must never print one.

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::check::Check;

/// Settings of the console.
#[derive(Args, Clone, Debug)]
pub struct ConsoleArgs {
    /// The token with which operators read the console (/console on the ops listener) [default: none; without any token there is no
    /// console]
    #[arg(long, env = "CONSOLE_READ_TOKEN", hide_env_values = true)]
    pub console_read_token: Option<String>,
    /// Instead of `CONSOLE_READ_TOKEN`: a file that holds it
    #[arg(long, env = "CONSOLE_READ_TOKEN_FILE")]
    pub console_read_token_file: Option<String>,
    /// The token with which operators also release and drop held changes in the console
    #[arg(long, env = "CONSOLE_OPERATOR_TOKEN", hide_env_values = true)]
    pub console_operator_token: Option<String>,
    /// Instead of `CONSOLE_OPERATOR_TOKEN`: a file that holds it
    #[arg(long, env = "CONSOLE_OPERATOR_TOKEN_FILE")]
    pub console_operator_token_file: Option<String>,
}

/// Checked settings of the console: at least one token.
#[derive(Clone, Debug)]
pub struct ConsoleConfig {
    /// Opens the pages.
    pub read: Option<SecretString>,
    /// Opens the pages and the acts.
    pub operator: Option<SecretString>,
}

impl ConsoleArgs {
    /// Returns the tokens; none where none is set.
    pub(super) fn check(&self, check: &mut Check) -> Option<ConsoleConfig> {
        let (read, operator) = ("CONSOLE_READ_TOKEN", "CONSOLE_OPERATOR_TOKEN");
        let file = self.console_read_token_file.as_deref();
        let of_reader = token(check, read, self.console_read_token.as_deref(), file);
        let file = self.console_operator_token_file.as_deref();
        let of_operator = token(check, operator, self.console_operator_token.as_deref(), file);
        if let (Some(one), Some(other)) = (&of_reader, &of_operator)
            && one.expose_secret() == other.expose_secret()
        {
            let settings = format!("{read}, {operator}");
            check.contradiction(&settings, "both have the same value", "two different tokens");
        }
        (of_reader.is_some() || of_operator.is_some()).then_some(ConsoleConfig {
            read: of_reader,
            operator: of_operator,
        })
    }
}

fn token(
    check: &mut Check,
    setting: &'static str,
    value: Option<&str>,
    file: Option<&str>,
) -> Option<SecretString> {
    let value = check.secret(setting, value, file)?;
    Some(check.token(setting, Some(&value), "a random token, 16 characters or more"))
}
