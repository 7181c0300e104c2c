//! Verification of the access token of a request (RFC 6750, RFC 7519).
//!
//! Owns the conditions of a valid token: a signature by a key of the tenant under that key's own algorithm, issuer,
//! audience, time, and a subject that is a user. Must never believe a claim before the signature was verified,
//! and never show a token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::http::{SetupError, build_http, parse_domain};
use super::jwks::{self, FETCH_TIMEOUT, KeyFetcher, Keys, NoKey};
use super::signature;
use crate::metrics::Metrics;
use rolekeeper_domain::ids::UserId;

/// Accepted difference between the clocks of the tenant and this host, in seconds.
const LEEWAY_S: u64 = 10;
/// Longest token that is parsed; tokens of Auth0 have 1 to 4 KB.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// Suffix of the subject of a machine's token at Auth0.
const MACHINE: &str = "@clients";

/// Settings of the verification of tokens.
#[derive(Debug)]
pub struct BearerOptions {
    /// The tenant, as in [`super::ClientOptions`]; its keys are at `/.well-known/jwks.json`.
    pub domain: String,
    /// Accepted `iss` claims, such as those of the tenant and of its custom domain; empty accepts the domain only.
    pub issuers: Vec<String>,
    /// The `aud` that tokens must have.
    pub audience: String,
    /// PEM file with certificate authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Shortest time between two fetches of the keys.
    pub cool_down: Duration,
}

/// Verifies tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bearer {
    keys: Keys,
    rs256: Arc<Validation>,
    es256: Arc<Validation>,
}

/// The reason why a request is not accepted as a user's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request has no token.
    Missing,
    /// The header does not hold exactly one token.
    Malformed,
    /// The token's algorithm does not match its key, or is missing.
    Algorithm,
    /// The token names no key, or a key that the tenant does not have.
    Key,
    /// The signature was not made by that key.
    Signature,
    /// The token is from another issuer.
    Issuer,
    /// The token is for another audience.
    Audience,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    NotYet,
    /// A claim is missing or malformed, or the subject is not a user.
    Claims,
    /// The token is valid, and lacks the scope that the request needs.
    Scope,
    /// The tenant's keys cannot be fetched; the token may be valid.
    Unavailable,
}

impl Refusal {
    /// All reasons.
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

    /// Returns the reason as a label of a metric.
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

    /// Returns the reason as a text for the client.
    #[must_use]
    pub fn explained(self) -> &'static str {
        match self {
            Self::Missing => "send an access token: Authorization: Bearer <token>",
            Self::Malformed => "the Authorization header does not hold exactly one access token",
            Self::Algorithm => "the token's algorithm does not match its key; RS256 and ES256 are accepted",
            Self::Key => "the token was not signed by a key of the tenant",
            Self::Signature => "the token's signature is invalid",
            Self::Issuer => "the token is from another issuer",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Claims => "the token lacks a claim (exp, iss, aud, sub), or its subject is not a user",
            Self::Scope => "the token lacks the scope that the request needs",
            Self::Unavailable => "the tenant's keys cannot be fetched now; retry",
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// One text (RFC 7519, 4.1.1): the check of the issuer would take a list that contains it, too.
    #[serde(rename = "iss")]
    _issuer: String,
    #[serde(default)]
    scope: Value,
    #[serde(default)]
    iat: Value,
}

/// The user of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's subject.
    pub user: UserId<'static>,
    /// When the token was issued, by the tenant's clock; none where the token does not say.
    pub issued_at: Option<OffsetDateTime>,
    /// Scopes that the user granted to the app, separated by blanks.
    scopes: String,
}

impl Caller {
    /// Returns whether the token has this scope.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.split_ascii_whitespace().any(|held| held == scope)
    }
}

impl Bearer {
    /// Returns the verifier and the fetcher of its keys. Reads the CA file; makes no connection yet.
    ///
    /// # Errors
    /// The configuration has a fault.
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

    /// Returns the user of the token in this value of the Authorization header.
    ///
    /// # Errors
    /// The header has no valid token of a user.
    pub async fn caller(&self, authorization: &[u8]) -> Result<Caller, Refusal> {
        let token = token(authorization)?;
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        // RFC 7515, 4.1.11: a token with an extension that must be understood, and is not, is invalid.
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
        let Claims {
            sub: subject,
            scope,
            iat,
            _issuer: _,
        } = claims.claims;
        if subject.ends_with(MACHINE) {
            return Err(Refusal::Claims);
        }
        let user = UserId::parse(subject).map_err(|_| Refusal::Claims)?;
        let scopes = scope.as_str().unwrap_or_default().to_owned();
        // A token may have a fraction of a second here (RFC 7519, 2).
        let since_epoch = iat.as_f64().map(time::Duration::saturating_seconds_f64);
        Ok(Caller {
            user,
            issued_at: since_epoch.and_then(|seconds| OffsetDateTime::UNIX_EPOCH.checked_add(seconds)),
            scopes,
        })
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

/// Returns the token after the scheme, whose case does not matter.
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
