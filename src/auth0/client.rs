//! The HTTP client for one tenant.
//!
//! Owns its settings and how a call gets its token. Must never repeat a call, except once after a 401 with a new token.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::error::{CallError, LaterWhy, Outcome};
use super::http::{Broken, SetupError, build_http, exchange, parse_domain, parse_file};
use super::reply::{Reply, Write};
use super::token::Tokens;
use crate::config::ClientCredential;
use crate::traces;
use rolekeeper_domain::pacer::RateHeaders;

/// Most HTTP exchanges of one call, each of at most the request timeout: token, call, and both again after a 401. A caller
/// that waits for a token that another call fetches may wait for one more.
pub const EXCHANGES_PER_CALL: u32 = 4;

/// Longest time of the download of a file: an export of millions of users.
const FILE_WITHIN: Duration = Duration::from_hours(6);

/// Settings of the client of a tenant.
#[derive(Debug)]
pub struct ClientOptions {
    /// Host of the tenant, such as `tenant.eu.auth0.com`; for a loopback host also `http://127.0.0.1:port`.
    pub domain: String,
    /// Audience of the token; the default is `https://{domain}/api/v2/`.
    pub audience: Option<String>,
    /// Id of the machine-to-machine client.
    pub client_id: String,
    /// Credential of that client.
    pub credential: ClientCredential,
    /// Longest time for one HTTP exchange, from connecting to the last byte.
    pub request_timeout: Duration,
    /// PEM file with certificate authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The client of one tenant; a clone shares connections and token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// `https://{domain}/api/v2/`.
    api: Arc<str>,
    pub(super) tokens: Arc<Tokens>,
}

impl Client {
    /// Returns a client; makes no connection yet. Reads the CA file.
    pub fn new(options: ClientOptions) -> Result<Self, SetupError> {
        let base = parse_domain(&options.domain)?;
        let http = build_http(&base, options.request_timeout, options.ca_file)?;
        let api = format!("{base}api/v2/");
        let tokens = Tokens {
            http: http.clone(),
            endpoint: format!("{base}oauth/token"),
            audience: options.audience.unwrap_or_else(|| api.clone()),
            client_id: options.client_id,
            credential: options.credential,
            issuer: base.to_string(),
            state: tokio::sync::Mutex::default(),
            app_metadata_shown: AtomicBool::default(),
        };
        Ok(Self {
            http,
            api: api.into(),
            tokens: Arc::new(tokens),
        })
    }

    /// Returns the host of the token's audience, with its port if that is not the default.
    pub(super) fn tenant(&self) -> String {
        super::canonical::host_of(&self.tokens.audience)
    }

    /// Fetches a token, if none is cached.
    pub(super) async fn authorize(&self) -> Result<(), CallError> {
        let token = self.tokens.get(None).await;
        token.map(drop).map_err(|no_token| no_token.error)
    }

    /// Returns the scopes that the cached token states, separated by spaces; none without a token, or if it states none.
    pub(super) async fn scopes(&self) -> Option<String> {
        let state = self.tokens.state.lock().await;
        state.cached.as_ref().and_then(|cached| cached.scopes.clone())
    }

    /// Ensures that the token is valid for calls during `lasting`, so that none of them waits for a new token.
    pub(super) async fn prepare(&self, lasting: Duration) -> Reply<()> {
        match self.tokens.good_for(lasting).await {
            Ok(()) => Reply {
                result: Ok(()),
                rate: RateHeaders::default(),
                date: None,
                answered_at: None,
            },
            Err(no_token) => no_token.into(),
        }
    }

    /// Requests a file from an address that Auth0 named, without a token: it is on another server. Only its header is awaited.
    pub(super) async fn download(
        &self,
        location: &str,
        header_within: Duration,
    ) -> Result<reqwest::Response, CallError> {
        let failed = |why, detail: String| CallError::Later {
            why,
            outcome: Outcome::NotSent,
            detail,
        };
        let url =
            parse_file(location).map_err(|what| failed(LaterWhy::BadAnswer, format!("a file at {what}")))?;
        let request = self.http.get(url).timeout(FILE_WITHIN);
        let response = tokio::time::timeout(header_within, request.send())
            .await
            .map_err(|_| failed(LaterWhy::Timeout, "the server of the file".to_owned()))?
            .map_err(|error| Broken::from(error).later(Outcome::NotSent))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(failed(
            LaterWhy::Server,
            format!("the server of the file returned {}", status.as_u16()),
        ))
    }

    /// Calls `path` below `/api/v2/` and returns the body of a success.
    pub(super) async fn call(&self, method: Method, path: &str, write: Option<Write<'_>>) -> Reply<Vec<u8>> {
        let mut token = match self.tokens.get(None).await {
            Ok(token) => token,
            Err(no_token) => return no_token.into(),
        };
        let after_failure = if write.is_some() {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        };
        let mut stale_allowed = true;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.api));
            request = request.bearer_auth(token.expose());
            if let Some(write) = &write {
                if let Err(error) = write.in_time() {
                    return error.into();
                }
                request = write.add_to(request);
            }
            let span = traces::call(method.as_str(), &self.api, path);
            for (name, value) in span.headers() {
                request = request.header(name, value);
            }
            let answer = match exchange(request).await {
                Ok(answer) => answer,
                Err(broken) => {
                    span.failed(broken.class());
                    return broken.later(after_failure).into();
                }
            };
            span.status(answer.status.as_u16());
            span.end();
            if answer.status == StatusCode::UNAUTHORIZED && stale_allowed {
                stale_allowed = false;
                token = match self.tokens.get(Some(&token)).await {
                    Ok(token) => token,
                    Err(no_token) => return no_token.into(),
                };
                continue;
            }
            let result = if answer.status.is_success() {
                answer.body.map_err(|broken| broken.later(after_failure))
            } else {
                let body = answer.body.unwrap_or_default();
                Err(CallError::from_answer(
                    answer.status,
                    &body,
                    after_failure,
                    answer.date,
                ))
            };
            if matches!(result, Err(CallError::Scope { .. })) {
                // A token keeps the scopes with which it was issued: scopes that the operator adds are only in a new token.
                self.tokens.lacks_scope(&token).await;
            }
            return Reply {
                result,
                rate: answer.rate,
                date: answer.date,
                answered_at: Some(answer.at),
            };
        }
    }
}
