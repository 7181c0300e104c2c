//! The HTTP client for one tenant.
//!
//! Owns its timeouts, its trust store and the limit of a response's size. Must never follow a redirect (it would
//! send the token to another host) and never repeat a call, except once after a 401 with a new token.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reqwest::{Certificate, Method, RequestBuilder, StatusCode, Url, redirect};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::error::{CallError, LaterWhy, Outcome, presentable};
use super::rate;
use super::reply::{Reply, Write};
use super::token::Tokens;
use crate::config::ClientCredential;
use rolekeeper_domain::pacer::RateHeaders;

/// Most HTTP exchanges of one call, each of at most the request timeout: token, call, and both again after a 401. A caller
/// that waits for a token that another call fetches may wait for one more.
pub const EXCHANGES_PER_CALL: u32 = 4;

/// Longest body that is read; a profile has at most about 10 KB, an old one up to 1 MB.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// The reason why no client could be made: a fault of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The tenant's domain cannot be used.
    #[error("Auth0 domain {domain:?}: {expected}")]
    Domain {
        /// The configured domain.
        domain: String,
        /// Text about the expected value.
        expected: &'static str,
    },
    /// The file of certificate authorities cannot be used.
    #[error("CA file {}: {reason}", path.display())]
    CaFile {
        /// The configured path.
        path: PathBuf,
        /// Text about the fault of the file.
        reason: String,
    },
    /// TLS cannot be set up, for example because the system has no certificate authorities.
    #[error("HTTP client for Auth0: {0}")]
    Tls(String),
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
                request = request.json(write.body);
            }
            let answer = match exchange(request).await {
                Ok(answer) => answer,
                Err(broken) => {
                    return broken.later(after_failure).into();
                }
            };
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

/// A response of any status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// When its header arrived.
    pub(super) at: Instant,
    pub(super) rate: RateHeaders,
    /// When it was sent, by the server's clock.
    pub(super) date: Option<OffsetDateTime>,
    pub(super) body: Result<Vec<u8>, Broken>,
}

/// An exchange, or the reading of its body, that failed.
pub(super) struct Broken {
    why: LaterWhy,
    /// Whether the request may have reached the server.
    sent: bool,
    pub(super) detail: String,
}

impl Broken {
    fn later(self, after_failure: Outcome) -> CallError {
        let outcome = if self.sent {
            after_failure
        } else {
            Outcome::NotSent
        };
        CallError::Later {
            why: self.why,
            outcome,
            detail: self.detail,
        }
    }
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        let why = if error.is_timeout() {
            LaterWhy::Timeout
        } else {
            LaterWhy::Network
        };
        let sent = !(error.is_connect() || error.is_builder());
        // The URL contains the user's id.
        let error = error.without_url();
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            detail = format!("{detail}: {cause}");
            source = cause.source();
        }
        Self {
            why,
            sent,
            detail: presentable(&detail),
        }
    }
}

/// Sends one request and reads its response, whatever the status.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Answer, Broken> {
    let response = request.send().await?;
    let (status, at, headers) = (response.status(), Instant::now(), response.headers());
    let (rate, date) = (rate::read(headers), rate::sent_at(headers));
    Ok(Answer {
        status,
        at,
        rate,
        date,
        body: read_body(response).await,
    })
}

async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await.map_err(Broken::from) {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let detail = format!("a body of more than {MAX_BODY_BYTES} bytes");
                return Err(Broken {
                    why: LaterWhy::BadAnswer,
                    sent: true,
                    detail,
                });
            }
            Ok(None) => return Ok(body),
            // A timeout inside the body stays a timeout; any other failure means that the response is incomplete.
            Err(broken) if broken.why == LaterWhy::Timeout => return Err(broken),
            Err(broken) => {
                return Err(Broken {
                    why: LaterWhy::BadAnswer,
                    ..broken
                });
            }
        }
    }
}

pub(super) fn parse_domain(domain: &str) -> Result<Url, SetupError> {
    let refuse = |expected| SetupError::Domain {
        domain: domain.to_owned(),
        expected,
    };
    let host_only = "expected a host such as tenant.eu.auth0.com";
    let written_out = if domain.contains("://") {
        domain.to_owned()
    } else {
        format!("https://{domain}")
    };
    let url = Url::parse(&written_out).map_err(|_| refuse(host_only))?;
    let host = url.host_str().ok_or_else(|| refuse(host_only))?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        _ if !bare => Err(refuse(host_only)),
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(refuse(
            "http:// is accepted for loopback hosts only; expected a host such as tenant.eu.auth0.com",
        )),
        _ => Err(refuse(host_only)),
    }
}

pub(super) fn build_http(
    base: &Url,
    timeout: Duration,
    ca_file: Option<PathBuf>,
) -> Result<reqwest::Client, SetupError> {
    // This fails only if the process already has a provider, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("rolekeeper/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout.min(MAX_CONNECT_TIMEOUT))
        .timeout(timeout)
        .redirect(redirect::Policy::none());
    if base.scheme() == "http" {
        // No TLS is used, so the system needs no certificate authorities.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = ca_file {
        let certificates = match std::fs::read(&path) {
            Ok(pem) => Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match certificates {
            Ok(certificates) if certificates.is_empty() => {
                return Err(SetupError::CaFile {
                    path,
                    reason: "the file holds no PEM certificate".to_owned(),
                });
            }
            Ok(certificates) => builder = builder.tls_certs_merge(certificates),
            Err(reason) => return Err(SetupError::CaFile { path, reason }),
        }
    }
    builder
        .build()
        .map_err(|error| SetupError::Tls(Broken::from(error).detail))
}
