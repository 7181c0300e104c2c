//! The access token for the Management API, by client credentials (RFC 6749, 4.4).
//!
//! Owns its cache: one refresh at a time, shortly before expiry; all waiting callers share its outcome.
//! Must never send a request per caller to a failing token endpoint, and never show a token, the secret or an assertion.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::assertion;
use super::error::CallError;
use super::http::exchange;
use crate::clock;
use crate::config::ClientCredential;

/// Longest time before expiry at which a token is refreshed; a short-lived token is refreshed when a tenth of its life is
/// left.
const REFRESH_MARGIN: Duration = Duration::from_mins(1);
/// Time after a failed refresh in which no request is sent, and all callers get the same failure.
const COOL_DOWN: Duration = Duration::from_secs(1);
/// Longest cool-down that a `Retry-After` of the token endpoint can cause.
const MAX_COOL_DOWN: Duration = Duration::from_mins(1);
/// Shortest time between two tokens that are fetched because the last one lacks a scope; doubled each time. Shorter than
/// the circuit breaker's wait between two probes, which doubles as well, so that each probe may have a new token.
const RENEWALS_APART: Duration = Duration::from_secs(4);
/// Longest time to which [`RENEWALS_APART`] is doubled.
const RENEWALS_APART_AT_MOST: Duration = Duration::from_mins(10);
/// Scopes without which a profile is shown in part.
const NEEDED_TO_READ: [&str; 2] = ["read:users", "read:users_app_metadata"];
/// Largest difference between the clocks that is not reported.
const DRIFT_OF_NO_MATTER_S: i64 = 5;
/// Longest accepted life of a token; a day is usual at Auth0.
const MAX_LIFE: Duration = Duration::from_hours(30 * 24);

/// A token in the form that is sent; two tokens are equal only if they came from the same refresh.
#[derive(Clone)]
pub(super) struct Token(Arc<SecretString>);

impl Token {
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The reason why there is no token.
#[derive(Clone)]
pub(super) struct NoToken {
    pub(super) error: CallError,
    /// The delay that the token endpoint asked for.
    pub(super) retry_after: Option<Duration>,
    /// Whether a token was issued, and counted by Auth0, but is not used because it lacks scopes.
    issued: bool,
}

/// The token cache of one client.
pub(super) struct Tokens {
    pub(super) http: reqwest::Client,
    pub(super) endpoint: String,
    pub(super) audience: String,
    pub(super) client_id: String,
    pub(super) credential: ClientCredential,
    /// The tenant as the audience of assertions: `https://{domain}/`.
    pub(super) issuer: String,
    pub(super) state: Mutex<State>,
    /// Whether a response to the present token showed the `app_metadata` of a user: it is not hidden from the client.
    pub(super) app_metadata_shown: AtomicBool,
}

/// The state of the cache. Its lock is held across the refresh, so that other callers wait for the outcome.
#[derive(Default)]
pub(super) struct State {
    pub(super) cached: Option<Cached>,
    pub(super) failed: Option<(Instant, NoToken)>,
    /// Times of new tokens that are fetched because the last one lacks a scope.
    pub(super) renewals: Renewals,
}

pub(super) struct Cached {
    token: Token,
    life: Duration,
    /// The scopes that Auth0 stated, separated by spaces.
    pub(super) scopes: Option<String>,
    pub(super) refresh_at: Instant,
    pub(super) expires_at: Instant,
}

impl State {
    /// Drops `token` if it is still the cached one.
    fn drop_cached(&mut self, token: &Token) {
        self.cached = self
            .cached
            .take()
            .filter(|cached| !Arc::ptr_eq(&cached.token.0, &token.0));
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
    /// The scopes of the client; Auth0 always sends them.
    scope: Option<String>,
}

/// Parses a response with a token; an error never shows one.
fn granted(body: &[u8]) -> Result<Granted, String> {
    let granted: Granted = serde_json::from_slice(body).map_err(|error| {
        // The parser's own text may repeat a value, and so a token.
        let fault = if error.is_data() {
            "access_token or expires_in is missing, or has another type"
        } else {
            "not JSON"
        };
        format!("{fault}, at line {} column {}", error.line(), error.column())
    })?;
    if HeaderValue::from_str(&granted.access_token).is_err() {
        return Err("a token that is not valid in a header".to_owned());
    }
    Ok(granted)
}

/// Returns the text about missing scopes for reading. Without them a profile is shown in part, and roles of other clients in
/// it look missing. Scopes for writing are not checked here: Auth0 refuses the write and names them.
fn missing_scopes(granted: Option<&str>) -> Option<String> {
    let granted: Vec<&str> = granted?.split_whitespace().collect();
    let missing: Vec<&str> = NEEDED_TO_READ
        .into_iter()
        .filter(|scope| !granted.contains(scope))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "Insufficient scope, the token lacks {}: grant it to the client for the Management API",
            missing.join(" and ")
        )
    })
}

/// The time at which the next token may be fetched because the last one lacks a scope. Auth0 counts and bills each token.
#[derive(Default)]
pub(super) struct Renewals {
    after: Option<Instant>,
    apart: Duration,
}

impl Renewals {
    fn may(&self, now: Instant) -> bool {
        self.after.is_none_or(|after| now >= after)
    }

    /// Notes that a token is fetched, or was fetched in vain; returns the time at which the next may be fetched.
    fn next(&mut self, now: Instant) -> Instant {
        let long_ago = |after: Instant| now >= after + RENEWALS_APART_AT_MOST;
        self.apart = if self.after.is_none_or(long_ago) {
            RENEWALS_APART
        } else {
            (self.apart * 2).min(RENEWALS_APART_AT_MOST)
        };
        *self.after.insert(now + self.apart)
    }
}

/// Returns the text about the difference between this host's clock and the server's; none where transfer time and the whole
/// seconds of the date explain it.
#[must_use]
pub fn drift(now: OffsetDateTime, date: OffsetDateTime) -> Option<String> {
    let seconds = (now - date).whole_seconds();
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    (seconds.abs() > DRIFT_OF_NO_MATTER_S).then(|| {
        format!(
            "this host's clock is {} s {direction} Auth0's: correct the clock",
            seconds.abs()
        )
    })
}

impl Tokens {
    /// Returns a token that is valid as far as is known. `rejected` is a token that just got a 401: it is dropped if it is
    /// still cached; otherwise another caller has already replaced it.
    pub(super) async fn get(&self, rejected: Option<&Token>) -> Result<Token, NoToken> {
        self.get_for(rejected, Instant::now()).await
    }

    /// As [`Self::get`], for a call that is made at `at`.
    async fn get_for(&self, rejected: Option<&Token>, at: Instant) -> Result<Token, NoToken> {
        let mut state = self.state.lock().await;
        if let Some(rejected) = rejected {
            state.drop_cached(rejected);
        }
        let now = Instant::now();
        if let Some(cached) = &state.cached
            && at.max(now) < cached.refresh_at
        {
            return Ok(cached.token.clone());
        }
        let cooling = state.failed.clone().filter(|(until, _)| now < *until);
        let failure = match cooling {
            Some((_, failure)) => failure,
            None => match self.refresh().await {
                Ok(fresh) => {
                    let token = fresh.token.clone();
                    state.cached = Some(fresh);
                    state.failed = None;
                    return Ok(token);
                }
                Err(failure) => {
                    let asked_for = failure.retry_after.unwrap_or_default();
                    let mut until = Instant::now() + asked_for.clamp(COOL_DOWN, MAX_COOL_DOWN);
                    if failure.issued {
                        until = until.max(state.renewals.next(Instant::now()));
                    }
                    state.failed = Some((until, failure.clone()));
                    failure
                }
            },
        };
        // The old token stays valid until its expiry.
        let old = state
            .cached
            .as_ref()
            .filter(|cached| at.max(Instant::now()) < cached.expires_at);
        old.map(|cached| cached.token.clone()).ok_or(failure)
    }

    /// Ensures that [`Self::get`] needs no new token during `lasting`; with a short-lived token, during half its life.
    pub(super) async fn good_for(&self, lasting: Duration) -> Result<(), NoToken> {
        let at = {
            let state = self.state.lock().await;
            let life = state.cached.as_ref().map_or(Duration::ZERO, |cached| cached.life);
            Instant::now() + lasting.min(life / 2)
        };
        self.get_for(None, at).await.map(drop)
    }

    /// Notes that this token lacks a scope: the next call fetches a new one, unless one was fetched already or recently.
    pub(super) async fn lacks_scope(&self, token: &Token) {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if state.renewals.may(now) {
            state.drop_cached(token);
            state.renewals.next(now);
        }
    }

    async fn refresh(&self) -> Result<Cached, NoToken> {
        let asked_at = Instant::now();
        let unavailable = |detail| NoToken {
            error: CallError::token_unavailable(detail),
            retry_after: None,
            issued: false,
        };
        let mut asking = json!({
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "audience": self.audience,
        });
        match &self.credential {
            ClientCredential::Secret(secret) => asking["client_secret"] = secret.expose_secret().into(),
            ClientCredential::Key(key) => {
                let signed = assertion::sign(key, &self.client_id, &self.issuer, clock::now());
                let signed = signed.map_err(|error| unavailable(format!("the key cannot sign: {error}")))?;
                asking["client_assertion_type"] = assertion::TYPE.into();
                asking["client_assertion"] = signed.into();
            }
        }
        let request = self.http.post(&self.endpoint).json(&asking);
        let answer = exchange(request)
            .await
            .map_err(|broken| unavailable(broken.detail))?;
        let body = match (answer.status.is_success(), answer.body) {
            (true, Ok(body)) => body,
            (true, Err(broken)) => return Err(unavailable(broken.detail)),
            (false, body) => {
                let drift = match &self.credential {
                    // Only an assertion contains a time of this host's clock.
                    ClientCredential::Secret(_) => None,
                    ClientCredential::Key(_) => answer.date.and_then(|date| drift(clock::now(), date)),
                };
                return Err(NoToken {
                    error: CallError::from_token_answer(answer.status, &body.unwrap_or_default(), drift),
                    retry_after: answer.rate.retry_after,
                    issued: false,
                });
            }
        };
        let granted =
            granted(&body).map_err(|why| unavailable(format!("the token endpoint's response: {why}")))?;
        if let Some(message) = missing_scopes(granted.scope.as_deref()) {
            return Err(NoToken {
                error: CallError::Scope { message },
                retry_after: None,
                issued: true,
            });
        }
        self.app_metadata_shown.store(false, Ordering::Relaxed);
        let life = Duration::from_secs(granted.expires_in).min(MAX_LIFE);
        tracing::info!(
            lifetime_s = life.as_secs(),
            "fetched a new token for the Management API"
        );
        Ok(Cached {
            token: Token(Arc::new(granted.access_token.into())),
            life,
            scopes: granted.scope,
            refresh_at: asked_at + life - REFRESH_MARGIN.min(life / 10),
            expires_at: asked_at + life,
        })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_told_of_with_its_direction() {
        let date = datetime!(2026-11-28 12:00 UTC);
        let said = |seconds| drift(date + time::Duration::seconds(seconds), date);
        assert_eq!((said(0), said(5), said(-5)), (None, None, None));
        assert!(said(90).unwrap().contains("90 s ahead of"), "{:?}", said(90));
        assert!(said(-75).unwrap().contains("75 s behind"), "{:?}", said(-75));
    }

    #[test]
    fn a_stated_scope_that_hides_roles_is_reported() {
        assert_eq!(missing_scopes(None), None);
        assert_eq!(
            missing_scopes(Some("read:users_app_metadata read:logs read:users")),
            None
        );
        let said = missing_scopes(Some("read:users update:users")).unwrap();
        assert!(said.contains("lacks read:users_app_metadata:"), "{said}");
        let said = missing_scopes(Some("")).unwrap();
        assert!(said.contains("read:users and read:users_app_metadata"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_taken_for_a_missing_scope_become_rare() {
        let mut renewals = Renewals::default();
        let mut taken = 0;
        for _ in 0..24 * 360 {
            let now = Instant::now();
            if renewals.may(now) {
                renewals.next(now);
                taken += 1;
            }
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert!((140..160).contains(&taken), "{taken} a day");
    }

    #[test]
    fn fuzz_token_responses() {
        rolekeeper_fuzz::fuzz("token_responses", |body| match granted(body) {
            Ok(granted) => {
                assert!(HeaderValue::from_str(&granted.access_token).is_ok());
                let _ = missing_scopes(granted.scope.as_deref());
            }
            Err(why) => {
                assert!(why.len() <= 1_200 && !why.contains(char::is_control), "{why}");
                assert!(
                    !why.contains("eyJhbGciOiJub25lIn0.c2VjcmV0"),
                    "it shows a token: {why}"
                );
            }
        });
    }
}
