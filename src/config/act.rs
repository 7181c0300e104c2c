//! The operator of an act, and the reason.
//!
//! Owns the two flags of every command that changes something. Must never take a name from the environment of a worker: only
//! a command acts for an operator.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use rolekeeper_domain::act::Act;

/// The flag that names the operator.
#[derive(Args, Clone, Debug)]
pub struct ByArgs {
    /// Name of the operator; stored with the act [default: the user and host that run the command]
    #[arg(long = "as", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    by: Option<String>,
}

/// The flags that name the operator and the reason.
#[derive(Args, Clone, Debug)]
pub struct ActArgs {
    #[command(flatten)]
    by: ByArgs,
    /// The reason; stored with the act, see `rolekeeper acts`
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    why: Option<String>,
}

/// The same flags where the reason is required.
#[derive(Args, Clone, Debug)]
pub struct ReasonedArgs {
    #[command(flatten)]
    by: ByArgs,
    /// The reason; stored with the act, see `rolekeeper acts`
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    why: String,
}

impl ByArgs {
    /// Returns the act with its reason.
    #[must_use]
    pub fn act(&self, command: &'static str, arguments: Value, why: Option<String>) -> Act {
        Act {
            by: self.by.clone().unwrap_or_else(user_and_host),
            command,
            arguments,
            why,
        }
    }
}

impl ActArgs {
    /// Returns the act.
    #[must_use]
    pub fn act(&self, command: &'static str, arguments: Value) -> Act {
        self.by.act(command, arguments, self.why.clone())
    }
}

impl ReasonedArgs {
    /// Returns the act.
    #[must_use]
    pub fn act(&self, command: &'static str, arguments: Value) -> Act {
        self.by.act(command, arguments, Some(self.why.clone()))
    }

    /// Returns the reason.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// Returns user and host that the command runs as, according to the system.
fn user_and_host() -> String {
    let set = |name| std::env::var(name).ok().filter(|user| !user.trim().is_empty());
    let user = set("USER").or_else(|| set("LOGNAME"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), host.trim())
}
