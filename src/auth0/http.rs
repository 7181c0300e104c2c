//! One HTTP exchange with a tenant, and the HTTP client for it.
//!
//! Owns the protocol, the timeouts, the trust store and the limit of a response's size. Must never follow a redirect: it would
//! send the token to another host.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, RequestBuilder, StatusCode, Url, redirect};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::error::{CallError, LaterWhy, Outcome, presentable};
use super::rate;
use super::timed_body::TooLate;
use rolekeeper_domain::pacer::RateHeaders;

/// Longest body that is read; a profile has at most about 10 KB, an old one up to 1 MB.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// The class of the failure.
    pub(super) fn class(&self) -> &'static str {
        self.why.as_str()
    }

    pub(super) fn later(self, after_failure: Outcome) -> CallError {
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
        // The URL contains the user's id.
        let error = error.without_url();
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            if let Some(too_late) = cause.downcast_ref::<TooLate>() {
                return Self {
                    why: LaterWhy::TooLate,
                    sent: false,
                    detail: too_late.to_string(),
                };
            }
            detail = format!("{detail}: {cause}");
            source = cause.source();
        }
        let why = if error.is_timeout() {
            LaterWhy::Timeout
        } else {
            LaterWhy::Network
        };
        let sent = !(error.is_connect() || error.is_builder());
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
    let loopback = is_loopback(host);
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

/// Returns the address of a file outside the Management API, if it may be read: over TLS, or from this host.
pub(super) fn parse_file(location: &str) -> Result<Url, &'static str> {
    let url = Url::parse(location).map_err(|_| "no address")?;
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        _ => Err("an address without TLS"),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
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
        // A call never waits for another one: it has an idle connection or opens one. With HTTP/2 calls would share connections,
        // whose streams are limited, and cost more CPU (docs/performance.md).
        .http1_only()
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
