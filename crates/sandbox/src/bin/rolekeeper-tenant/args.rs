//! The flags, and the tenant they ask for.
//!
//! Owns their names, defaults and checks, so that a value is refused by the flag's name. Must never start anything.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use rolekeeper_sandbox::tenant::{Client, LogStream, TenantOptions};

use super::plan::Plan;

/// The secret when none is given. It guards nothing: the tenant listens on loopback and holds sample users.
pub(super) const DEFAULT_SECRET: &str = "sandbox-secret";

const EXAMPLE: &str = "\
Example: a tenant with the users of a file and the rate limit of a free plan

  rolekeeper-tenant --port 4010 --users users.json --plan free

  TOKEN=$(curl -s http://127.0.0.1:4010/oauth/token -d grant_type=client_credentials \\
    -d client_id=sandbox-client -d client_secret=sandbox-secret \\
    -d audience=http://127.0.0.1:4010/api/v2/ | jq -r .access_token)
  curl -s -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:4010/api/v2/users";

/// Runs a stand-in for an Auth0 tenant on loopback: tokens, users, logs, a log stream and the rate limit. Everything is in
/// memory and gone with the process. Ends with Ctrl-C or SIGTERM.
#[derive(Debug, Parser)]
#[command(name = "rolekeeper-tenant", version, max_term_width = 110, after_help = EXAMPLE)]
pub(super) struct TenantArgs {
    /// Port on 127.0.0.1; 0: any free one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub port: u16,
    /// Name of the tenant, as log records have it
    #[arg(long, value_name = "TEXT", default_value = "sandbox", value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// The client of the Management API
    #[arg(long, value_name = "ID", default_value = "sandbox-client", value_parser = NonEmptyStringValueParser::new())]
    pub client_id: String,
    /// Its secret
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_SECRET, value_parser = NonEmptyStringValueParser::new())]
    pub client_secret: String,
    /// A scope of its tokens; repeat it for more. Without it: all on users, and read:logs
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<String>,
    /// Users to begin with: a JSON array, as the Management API returns it
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Time that each call takes, in milliseconds
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub latency_ms: u64,
    /// Rate limit of the Management API
    #[arg(long, value_name = "PLAN", value_enum, default_value_t = Plan::Unlimited)]
    pub plan: Plan,
    /// Serve https, with a certificate authority made at the start
    #[arg(long)]
    pub tls: bool,
    /// Audience of an API of your own, for which users get access tokens
    #[arg(long, value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new())]
    pub api: Option<String>,
    /// Webhook to which log records are posted
    #[arg(long, value_name = "URL", requires = "logs_token", value_parser = webhook)]
    pub logs_to: Option<String>,
    /// Value of the Authorization header of those posts, sent as it is
    #[arg(long, value_name = "TOKEN", requires = "logs_to", value_parser = header_value)]
    pub logs_token: Option<String>,
    /// Seed of ids, opaque tokens and the times at which the log shows its records
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
}

impl TenantArgs {
    pub(super) fn client(&self) -> Client {
        let client = Client::new(&self.client_id, &self.client_secret);
        if self.scopes.is_empty() {
            client
        } else {
            client.with_scopes(&self.scopes)
        }
    }

    pub(super) fn options(&self) -> TenantOptions {
        let latency = Duration::from_millis(self.latency_ms);
        TenantOptions {
            name: self.name.clone(),
            port: self.port,
            clients: vec![self.client()],
            api: self.api.clone(),
            plan: self.plan.into(),
            latency: latency..=latency,
            tls: self.tls,
            seed: self.seed,
            ..TenantOptions::default()
        }
    }

    pub(super) fn log_stream(&self) -> Option<LogStream> {
        Some(LogStream {
            seed: self.seed,
            ..LogStream::to(self.logs_to.as_ref()?, self.logs_token.as_ref()?)
        })
    }
}

fn scope(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("expected one scope, such as read:users; repeat --scope for more");
    }
    Ok(text.to_owned())
}

fn webhook(text: &str) -> Result<String, &'static str> {
    let whole = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    match text.parse::<Uri>() {
        Ok(uri) if whole(&uri) => Ok(text.to_owned()),
        _ => Err("expected a whole address, such as http://127.0.0.1:8080/logs"),
    }
}

fn header_value(text: &str) -> Result<String, &'static str> {
    match HeaderValue::from_str(text) {
        Ok(value) if !value.is_empty() => Ok(text.to_owned()),
        _ => Err("expected the text of a header: not empty, without control characters"),
    }
}
