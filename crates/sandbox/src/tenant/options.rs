//! How a tenant behaves: what is chosen before it starts.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::assertion::PublicKey;
use super::limits::{RatePlan, ResetMeans};

/// What a client proves with who it is: the authentication method of an application at Auth0.
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
    /// How it proves to be that client.
    pub proof: Proof,
    /// What its tokens are granted.
    pub scopes: Vec<String>,
}

impl Client {
    /// A client with a secret and all scopes on users, and that on the log.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::proven_by(id, Proof::Secret(secret.into()))
    }

    /// A client with a key and all scopes on users, and that on the log.
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

    /// The same client with these scopes only.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

/// How large a profile may be, in bytes of its JSON. The documented limit is 10 KB with an "extended
/// allowance" of unknown size above it. Our choice: between the two a write succeeds and logs `wum`;
/// above the second it is refused with 400 `invalid_body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileLimit {
    /// Larger profiles are warned about.
    pub warned_above: usize,
    /// Larger profiles are refused.
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
    /// Before the names of its claims: an address of one's own, without a slash at the end.
    pub namespace: String,
    /// For who has none; `None` gives nobody one.
    pub default_display_name: Option<String>,
}

/// How the tenant behaves.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Its name, as records have it.
    pub name: String,
    /// Where it listens on 127.0.0.1; 0: any free port.
    pub port: u16,
    /// The clients it knows at first.
    pub clients: Vec<Client>,
    /// The only audience that gets tokens; `None` takes every one that ends in `/api/v2/`.
    pub audience: Option<String>,
    /// The app's own API, whose tokens users get; `None`: there is none.
    pub api: Option<String>,
    /// What runs at each login over HTTP; `None`: nothing.
    pub action: Option<Action>,
    /// `expires_in`, and the truth, in seconds of the real clock.
    pub token_lifetime: Duration,
    /// Rate limit of the Management API.
    pub plan: RatePlan,
    /// How many times as fast as the real clock the rate limit's runs. Nothing else is scaled.
    pub clock_factor: f64,
    /// Meaning of `X-RateLimit-Reset`.
    pub reset_means: ResetMeans,
    /// Whether a 429 carries `Retry-After`.
    pub retry_after: bool,
    /// Time that each call takes; half of it passes before the tenant acts and half after.
    pub latency: RangeInclusive<Duration>,
    /// Sizes of profiles.
    pub profile_limit: ProfileLimit,
    /// Whether it serves https, with a certificate of an authority that it makes and writes out. Official
    /// clients speak nothing else.
    pub tls: bool,
    /// Of ids, tokens and latencies.
    pub seed: u64,
}

impl Default for TenantOptions {
    /// Any free port, no clients, no rate limit, no latency, tokens for a day.
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
            profile_limit: ProfileLimit::default(),
            tls: false,
            seed: 0,
        }
    }
}
