//! Who is asking: the access token of a request (RFC 6750, RFC 7519), judged.
//!
//! Owns what makes a token good: a signature by a key of the tenant under that key's own algorithm, issuer,
//! audience, time, and a subject that is a user. Must never believe a claim before the signature was verified,
//! and never show a token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::client::{SetupError, build_http, parse_domain};
use super::jwks::{self, FETCH_TIMEOUT, KeyFetcher, Keys, NoKey};
use super::signature;
use crate::metrics::Metrics;
use rolekeeper_domain::ids::UserId;

/// How far the clocks of the tenant and this machine may be apart, in seconds.
const LEEWAY_S: u64 = 10;
/// Longest token that is looked at; Auth0's are 1 to 4 KB.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// How the subject of a machine's own token ends at Auth0.
const MACHINE: &str = "@clients";

/// Where tokens come from and for whom they must be.
#[derive(Debug)]
pub struct BearerOptions {
    /// The tenant, as in [`super::ClientOptions`]; its keys are at `/.well-known/jwks.json`.
    pub domain: String,
    /// The `iss` that tokens may have, such as those of the tenant and of its custom domain; none for the domain alone.
    pub issuers: Vec<String>,
    /// The `aud` that tokens must have.
    pub audience: String,
    /// PEM file with certificate authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Shortest time between two fetches of the keys.
    pub cool_down: Duration,
}

/// Judges tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bearer {
    keys: Keys,
    rs256: Arc<Validation>,
    es256: Arc<Validation>,
}

/// Why a request is not a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no token.
    Missing,
    /// What it has is not one token.
    Malformed,
    /// An algorithm that its key is not for, or none at all.
    Algorithm,
    /// It names no key, or one the tenant does not have.
    Key,
    /// The signature is not that key's.
    Signature,
    /// Somebody else issued it.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// A claim is missing or malformed, or the subject is no user.
    Claims,
    /// It is a user's, and lacks the scope that the request needs.
    Scope,
    /// The tenant's keys cannot be had: not the token's fault.
    Unavailable,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Missing,
        Self::Malformed,
        Self::Algorithm,
        Self::Key,
        Self::Signature,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYet,
        Self::Claims,
        Self::Scope,
        Self::Unavailable,
    ];

    /// As a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Claims => "claims",
            Self::Scope => "scope",
            Self::Unavailable => "unavailable",
        }
    }

    /// For the one who sent it.
    #[must_use]
    pub fn explained(self) -> &'static str {
        match self {
            Self::Missing => "send an access token: Authorization: Bearer <token>",
            Self::Malformed => "the Authorization header does not hold one access token",
            Self::Algorithm => "the token's algorithm is not that of its key; RS256 and ES256 are accepted",
            Self::Key => "the token was not signed by a key of the tenant",
            Self::Signature => "the token's signature is wrong",
            Self::Issuer => "the token is from another issuer",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Claims => "the token lacks a claim (exp, iss, aud, sub), or its subject is not a user",
            Self::Scope => "the token lacks the scope that the request needs",
            Self::Unavailable => "the tenant's keys cannot be fetched right now",
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    scope: Value,
}

/// The user who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's subject.
    pub user: UserId<'static>,
    /// What the user let the app do: scopes, separated by blanks.
    scopes: String,
}

impl Caller {
    /// Whether the token has this scope.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.split_ascii_whitespace().any(|held| held == scope)
    }
}

impl Bearer {
    /// Prepares the judge and what fetches keys for it. Reads the CA file; connects to nobody yet.
    ///
    /// # Errors
    /// A fault of the configuration.
    pub fn new(options: BearerOptions, metrics: Arc<Metrics>) -> Result<(Self, KeyFetcher), SetupError> {
        signature::install();
        let base = parse_domain(&options.domain)?;
        let http = build_http(&base, FETCH_TIMEOUT, options.ca_file)?;
        let url = format!("{base}.well-known/jwks.json");
        let mut issuers = options.issuers;
        if issuers.is_empty() {
            issuers.push(base.to_string());
        }
        let (keys, fetcher) = jwks::cache(http, url, options.cool_down, metrics);
        let judge = |algorithm| Arc::new(validation(algorithm, &issuers, &options.audience));
        let bearer = Self {
            keys,
            rs256: judge(Algorithm::RS256),
            es256: judge(Algorithm::ES256),
        };
        Ok((bearer, fetcher))
    }

    /// The user whose token this value of the Authorization header is.
    ///
    /// # Errors
    /// It is nobody's.
    pub async fn caller(&self, authorization: &[u8]) -> Result<Caller, Refusal> {
        let token = token(authorization)?;
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        // RFC 7515, 4.1.11: what must be understood and is not.
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let id = header.kid.as_deref().ok_or(Refusal::Key)?;
        let key = self.keys.get(id).await.map_err(|no_key| match no_key {
            NoKey::Unknown => Refusal::Key,
            NoKey::Unavailable => Refusal::Unavailable,
        })?;
        let validation = match key.algorithm {
            Algorithm::ES256 => &self.es256,
            _ => &self.rs256,
        };
        let claims = decode::<Claims>(token, &key.key, validation).map_err(|error| refusal(error.kind()))?;
        let Claims { sub: subject, scope } = claims.claims;
        if subject.ends_with(MACHINE) {
            return Err(Refusal::Claims);
        }
        let user = UserId::parse(subject).map_err(|_| Refusal::Claims)?;
        let scopes = scope.as_str().unwrap_or_default().to_owned();
        Ok(Caller { user, scopes })
    }
}

fn validation(algorithm: Algorithm, issuers: &[String], audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_issuer(issuers);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

/// The token behind the scheme, whose case does not matter.
fn token(authorization: &[u8]) -> Result<&[u8], Refusal> {
    let (scheme, token) = authorization.split_at_checked(7).ok_or(Refusal::Malformed)?;
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() && token.len() <= MAX_TOKEN_BYTES {
        Ok(token)
    } else {
        Err(Refusal::Malformed)
    }
}

fn refusal(why: &ErrorKind) -> Refusal {
    match why {
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Refusal::Algorithm,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYet,
        ErrorKind::InvalidToken | ErrorKind::Base64(_) => Refusal::Malformed,
        _ => Refusal::Claims,
    }
}
