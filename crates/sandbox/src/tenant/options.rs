//! Options of a tenant, chosen before its start.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::assertion::PublicKey;
use super::limits::{RatePlan, ResetMeans};

/// The credential of a client: the authentication method of an application at Auth0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `client_secret`
    Secret(String),
    /// `private_key_jwt`: assertions signed with the key's private half.
    Key(PublicKey),
}

/// A client of the Management API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `client_id`
    pub id: String,
    /// Its credential.
    pub proof: Proof,
    /// Scopes of its tokens.
    pub scopes: Vec<String>,
}

impl Client {
    /// Returns a client with a secret and all scopes on users and on the log.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::proven_by(id, Proof::Secret(secret.into()))
    }

    /// Returns a client with a key and all scopes on users and on the log.
    #[must_use]
    pub fn with_key(id: impl Into<String>, key: PublicKey) -> Self {
        Self::proven_by(id, Proof::Key(key))
    }

    fn proven_by(id: impl Into<String>, proof: Proof) -> Self {
        const SCOPES: [&str; 7] = [
            "read:users",
            "create:users",
            "update:users",
            "delete:users",
            "read:logs",
            "read:users_app_metadata",
            "update:users_app_metadata",
        ];
        Self {
            id: id.into(),
            proof,
            scopes: SCOPES.map(str::to_owned).into(),
        }
    }

    /// Returns the same client with only these scopes.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

/// Largest size of a profile, in bytes of its JSON. The documented limit is 10 KB with an "extended
/// allowance" of unknown size above it. Our choice: between the two, a write succeeds and logs `wum`;
/// above the second, it is refused with 400 `invalid_body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileLimit {
    /// Size above which a write logs a warning.
    pub warned_above: usize,
    /// Size above which a write is refused.
    pub refused_above: usize,
}

impl Default for ProfileLimit {
    fn default() -> Self {
        Self {
            warned_above: 10 << 10,
            refused_above: 64 << 10,
        }
    }
}

/// The post-login Action of `deploy/auth0`, by its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Prefix of the names of its claims: an address of the app's owner, without a slash at the end.
    pub namespace: String,
    /// Default display name for users without one; `None` writes none.
    pub default_display_name: Option<String>,
}

/// The three formats of a body (Auth0 docs, custom-log-streams).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// One record per line.
    #[default]
    JsonLines,
    /// `[record, …]`
    JsonArray,
    /// `{"logs": [record, …]}`
    JsonObject,
}

/// Target and settings of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct LogStream {
    /// URL of the webhook.
    pub url: String,
    /// The whole value of the `Authorization` header, verbatim.
    pub authorization: String,
    /// Format of the body.
    pub format: Format,
    /// Delay between the creation of a record and its first delivery.
    pub delay: RangeInclusive<Duration>,
    /// Most records in a body.
    pub batch: usize,
    /// Probability that a delivered record is delivered a second time, after another delay.
    pub twice: f64,
    /// Whether each record has a separate delay and a batch is shuffled; otherwise the order is kept.
    pub shuffle: bool,
    /// Seed of delays, duplicates and order.
    pub seed: u64,
    /// Most attempts for a batch.
    pub attempts: u32,
    /// Time between two attempts.
    pub between_attempts: Duration,
    /// Longest wait for a response.
    pub timeout: Duration,
}

impl LogStream {
    /// Returns a stream of JSON lines without delay, in order, once; up to 100 records per batch, three attempts one second
    /// apart.
    #[must_use]
    pub fn to(url: impl Into<String>, authorization: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            authorization: authorization.into(),
            format: Format::default(),
            delay: Duration::ZERO..=Duration::ZERO,
            batch: 100,
            twice: 0.0,
            shuffle: false,
            seed: 0,
            attempts: 3,
            between_attempts: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
        }
    }
}

/// Options of a tenant.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Its name in log records.
    pub name: String,
    /// Port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// The initial clients.
    pub clients: Vec<Client>,
    /// The only audience that gets tokens; `None` accepts every audience that ends in `/api/v2/`.
    pub audience: Option<String>,
    /// The app's own API, whose tokens users get; `None` for none.
    pub api: Option<String>,
    /// The Action that runs at each login over HTTP; `None` for none.
    pub action: Option<Action>,
    /// Life of tokens and value of `expires_in`, in seconds of the real clock.
    pub token_lifetime: Duration,
    /// Rate limit of the Management API.
    pub plan: RatePlan,
    /// Factor by which the rate limit's clock is faster than the real clock. No other time is scaled.
    pub clock_factor: f64,
    /// Meaning of `X-RateLimit-Reset`.
    pub reset_means: ResetMeans,
    /// Whether a 429 has `Retry-After`.
    pub retry_after: bool,
    /// Latency of each call; half of it passes before the tenant acts and half after.
    pub latency: RangeInclusive<Duration>,
    /// Most users that a search reaches, however it is paged.
    pub search_results: usize,
    /// Time that a job takes to export users.
    pub export_takes: Duration,
    /// Limits of the size of profiles.
    pub profile_limit: ProfileLimit,
    /// Whether it serves https, with a certificate of an authority that it generates and writes to a file. Official clients
    /// support only https.
    pub tls: bool,
    /// Seed of ids, tokens and latencies.
    pub seed: u64,
}

impl Default for TenantOptions {
    /// Returns options with any free port, without clients, rate limit and latency, with tokens for a day.
    fn default() -> Self {
        Self {
            name: "sandbox".into(),
            port: 0,
            clients: vec![],
            audience: None,
            api: None,
            action: None,
            token_lifetime: Duration::from_hours(24),
            plan: RatePlan::Unlimited,
            clock_factor: 1.0,
            reset_means: ResetMeans::default(),
            retry_after: false,
            latency: Duration::ZERO..=Duration::ZERO,
            search_results: 1_000,
            export_takes: Duration::ZERO,
            profile_limit: ProfileLimit::default(),
            tls: false,
            seed: 0,
        }
    }
}
