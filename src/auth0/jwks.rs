//! The tenant's public keys (JWKS, RFC 7517), which verify access tokens.
//!
//! Owns the cache and its refresh: at most one fetch per cool-down, and all waiting requests share its result. Must never drop
//! cached keys because a fetch failed, and never make a token with a known key wait for a fetch.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::error::presentable;
use super::http::exchange;
use crate::metrics::{KeyFetch, Later, Metrics};

/// Longest time of a fetch, and longest wait of a request with an unknown key.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Age at which keys are fetched again although no request missed one, so that a revoked key is dropped.
const MAX_AGE: Duration = Duration::from_mins(10);
/// First delay between two fetches while no key is known, for example before the network is up; doubled each time, up to
/// the cool-down.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Most keys that are kept; a tenant has two or three.
const MAX_KEYS: usize = 64;

/// A key and its only algorithm.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The reason why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The tenant did not have the key at the last fetch, at most one cool-down ago.
    Unknown,
    /// The keys could not be fetched.
    Unavailable,
}

/// The cached keys of the tenant, and the state of their fetches.
#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<HashMap<String, Arc<Key>>>,
    /// Number of completed fetches.
    fetches: u64,
    /// When the last fetch ended.
    fetched_at: Option<Instant>,
    /// Whether the last fetch failed.
    failed: bool,
}

/// Looks up keys. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    known: watch::Receiver<Known>,
    missed: Arc<Notify>,
    cool_down: Duration,
}

/// Fetches the keys; runs as a separate stage, so that a client that disconnects ends no fetch.
#[derive(Debug)]
pub struct KeyFetcher {
    http: reqwest::Client,
    url: String,
    known: watch::Sender<Known>,
    missed: Arc<Notify>,
    cool_down: Duration,
    metrics: Arc<Metrics>,
}

/// Returns the reader and the writer of the cache.
pub(super) fn cache(
    http: reqwest::Client,
    url: String,
    cool_down: Duration,
    metrics: Arc<Metrics>,
) -> (Keys, KeyFetcher) {
    let (sender, known) = watch::channel(Known::default());
    let missed = Arc::new(Notify::new());
    let fetcher = KeyFetcher {
        http,
        url,
        known: sender,
        missed: Arc::clone(&missed),
        cool_down,
        metrics,
    };
    let keys = Keys {
        known,
        missed,
        cool_down,
    };
    (keys, fetcher)
}

impl Keys {
    /// Returns the key with this id. An unknown key causes a fetch, unless the last fetch is less than a cool-down ago.
    pub(super) async fn get(&self, id: &str) -> Result<Arc<Key>, NoKey> {
        let before = self.known.borrow().clone();
        if let Some(key) = before.keys.get(id) {
            return Ok(Arc::clone(key));
        }
        self.missed.notify_one();
        if before.fetched_at.is_some_and(|at| at.elapsed() < self.cool_down) {
            return Err(before.without());
        }
        let mut known = self.known.clone();
        let fetched = known.wait_for(|known| known.fetches > before.fetches);
        // This wait is longer than a fetch, so that a failed fetch is seen as such.
        let after = match tokio::time::timeout(FETCH_TIMEOUT * 2, fetched).await {
            Ok(Ok(known)) => known.clone(),
            _ => return Err(NoKey::Unavailable),
        };
        after.keys.get(id).cloned().ok_or_else(|| after.without())
    }
}

impl Known {
    fn without(&self) -> NoKey {
        if self.failed {
            NoKey::Unavailable
        } else {
            NoKey::Unknown
        }
    }
}

impl KeyFetcher {
    /// Fetches the keys at the start, when a key is missed, and when they reach their greatest age; never twice in a cool-down.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        stop.run_until_cancelled(self.fetch_for_ever()).await;
        Ok(())
    }

    async fn fetch_for_ever(self) {
        let mut retry = FIRST_RETRY.min(self.cool_down);
        loop {
            let failed = match self.fetch().await {
                Ok(keys) => {
                    self.metrics.api.key_fetches.of(Later(KeyFetch::Ok)).inc();
                    self.keep(keys);
                    false
                }
                Err((result, why)) => {
                    self.metrics.api.key_fetches.of(Later(result)).inc();
                    warn!("the tenant's keys were not fetched, the known keys stay in use: {why}");
                    self.ended(None);
                    true
                }
            };
            if failed && self.known.borrow().keys.is_empty() {
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(self.cool_down);
                continue;
            }
            tokio::time::sleep(self.cool_down).await;
            if !failed {
                let aged = MAX_AGE.saturating_sub(self.cool_down);
                // A missed key and the end of the wait both start a fetch.
                let _ = tokio::time::timeout(aged, self.missed.notified()).await;
            }
        }
    }

    pub(super) fn keep(&self, keys: HashMap<String, Arc<Key>>) {
        let mut before: Vec<String> = self.known.borrow().keys.keys().cloned().collect();
        let mut now: Vec<String> = keys.keys().cloned().collect();
        before.sort();
        now.sort();
        if before != now {
            info!(keys = ?now, "the tenant's keys changed");
        }
        self.ended(Some(keys));
    }

    fn ended(&self, keys: Option<HashMap<String, Arc<Key>>>) {
        self.known.send_modify(|known| {
            known.fetches += 1;
            known.fetched_at = Some(Instant::now());
            known.failed = keys.is_none();
            if let Some(keys) = keys {
                known.keys = Arc::new(keys);
            }
        });
    }

    /// Fetches the keys once; on failure returns the kind of failure and its text.
    async fn fetch(&self) -> Result<HashMap<String, Arc<Key>>, (KeyFetch, String)> {
        let request = self.http.get(&self.url).timeout(FETCH_TIMEOUT);
        let answer = exchange(request)
            .await
            .map_err(|broken| (KeyFetch::Failed, broken.detail))?;
        if !answer.status.is_success() {
            return Err((
                KeyFetch::Failed,
                format!("HTTP status {}", answer.status.as_u16()),
            ));
        }
        let body = answer.body.map_err(|broken| (KeyFetch::Failed, broken.detail))?;
        let keys = read(&body).map_err(|why| (KeyFetch::Unusable, why))?;
        if keys.is_empty() {
            return Err((
                KeyFetch::Unusable,
                "the set has no key for RS256 or ES256".to_owned(),
            ));
        }
        Ok(keys)
    }
}

/// A set of keys. Each key is parsed separately, so that a key of an unknown kind does not hide the others.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The members of a JWK that are used here (RFC 7518, 6.2 and 6.3).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    used_for: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<HashMap<String, Arc<Key>>, String> {
    let set: KeySet = serde_json::from_slice(body)
        .map_err(|error| format!("not a set of keys: {}", presentable(&error.to_string())))?;
    let mut keys = HashMap::new();
    for key in set.keys.into_iter().take(MAX_KEYS) {
        if let Some((id, key)) = serde_json::from_value(key).ok().and_then(usable) {
            // Of two keys with the same id the first counts, so that a later key cannot replace it.
            keys.entry(id).or_insert(Arc::new(key));
        }
    }
    Ok(keys)
}

/// Returns the key, if it is for signatures that we verify. Its algorithm comes from its type, never from a token.
fn usable(jwk: Jwk) -> Option<(String, Key)> {
    let declared = |algorithm: &str| jwk.alg.as_deref().is_none_or(|alg| alg == algorithm);
    if jwk.used_for.as_deref().is_some_and(|used_for| used_for != "sig") {
        return None;
    }
    let key = match jwk.kty.as_str() {
        "RSA" if declared("RS256") => Key {
            algorithm: Algorithm::RS256,
            key: DecodingKey::from_rsa_components(jwk.n.as_deref()?, jwk.e.as_deref()?).ok()?,
        },
        "EC" if declared("ES256") && jwk.crv.as_deref() == Some("P-256") => Key {
            algorithm: Algorithm::ES256,
            key: DecodingKey::from_ec_components(jwk.x.as_deref()?, jwk.y.as_deref()?).ok()?,
        },
        _ => return None,
    };
    Some((jwk.kid, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Vec<(String, Algorithm)> {
        let mut ids: Vec<_> = read(body.as_bytes())
            .unwrap()
            .into_iter()
            .map(|(id, key)| (id, key.algorithm))
            .collect();
        ids.sort_by(|a, b| a.0.cmp(&b.0));
        ids
    }

    #[test]
    fn only_keys_for_signatures_we_verify_are_taken() {
        let body = r#"{"keys": [
            {"kty": "RSA", "kid": "a", "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB", "x5c": ["…"]},
            {"kty": "RSA", "kid": "b", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "kid": "c", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
            {"kty": "RSA", "kid": "for encryption", "use": "enc", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "kid": "for PS256", "alg": "PS256", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "kid": "another curve", "crv": "P-384", "x": "AQAB", "y": "AQAB"},
            {"kty": "oct", "kid": "symmetric", "k": "AQAB"},
            {"kty": "RSA", "kid": "torn", "n": "AQAB"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "kid": "a", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
            7
        ]}"#;
        let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
        let expected = [
            (a, Algorithm::RS256),
            (b, Algorithm::RS256),
            (c, Algorithm::ES256),
        ];
        assert_eq!(ids(body), expected);
    }

    #[test]
    fn what_is_no_set_of_keys_is_refused() {
        for bad in ["", "[]", "{}", r#"{"keys": 7}"#, "<html>"] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn fuzz_sets_of_keys() {
        rolekeeper_fuzz::fuzz("key_sets", |body| match read(body) {
            Ok(keys) => assert!(keys.len() <= MAX_KEYS),
            Err(why) => assert!(
                why.starts_with("not a set of keys: ") && !why.contains(char::is_control),
                "{why}"
            ),
        });
    }
}
