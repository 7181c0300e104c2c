//! A request and its response, as values.
//!
//! Owns the parts that all steps of a request share, and the entry in the call log. Must never decide a response.

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::calls::{Call, Endpoint};
use super::errors::ApiError;
use super::faults::Fault;
use super::merge::Object;
use super::options::TenantOptions;
use super::records::masked;
use super::state::{Grant, State};
use super::token_api;

/// A completely read request.
pub(super) struct TenantRequest {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub endpoint: Endpoint,
    pub user_id: Option<String>,
}

/// A request that passed token and rate limit.
pub(super) struct Admitted {
    pub grant: Option<Grant>,
    pub rate: Vec<(String, String)>,
    pub fault: Option<Fault>,
}

/// The response to the client.
pub(super) struct Answer {
    /// `None`: no response, the connection is reset.
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    /// Text that is sent compressed, in place of a body.
    pub file: Option<String>,
    pub fault: Option<Fault>,
}

/// The result of a call, for the call log.
#[derive(Default)]
pub(super) struct Outcome {
    pub client: Option<String>,
    pub user_id: Option<String>,
    pub applied: bool,
}

impl Answer {
    pub(super) fn new(status: u16, headers: Vec<(String, String)>, body: Option<Value>) -> Self {
        Self {
            status: Some(status),
            headers,
            body,
            file: None,
            fault: None,
        }
    }

    /// Returns a text to be sent compressed.
    pub(super) fn file(text: String) -> Self {
        Self {
            file: Some(text),
            ..Self::new(200, vec![], None)
        }
    }

    pub(super) fn refused(error: &ApiError) -> Self {
        Self::new(error.status, vec![], Some(error.body()))
    }
}

impl TenantRequest {
    /// Returns the fields of a request outside the Management API.
    pub(super) fn fields(&self) -> Object {
        let content_type = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        token_api::fields(content_type.unwrap_or_default(), &self.body)
    }

    /// Returns the tenant as the audience of assertions, `https://{domain}/`: the domain of its audience, or else the domain
    /// of this request.
    pub(super) fn issuer(&self, options: &TenantOptions) -> String {
        if let Some(domain) = options
            .audience
            .as_ref()
            .and_then(|audience| audience.strip_suffix("api/v2/"))
        {
            return domain.to_owned();
        }
        self.address(options)
    }

    /// Returns the address that this request was sent to, with a slash at the end.
    pub(super) fn address(&self, options: &TenantOptions) -> String {
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let scheme = if options.tls { "https" } else { "http" };
        format!("{scheme}://{}/", host.unwrap_or_default())
    }

    /// Returns the body in the form of the call log.
    fn shown_body(&self) -> Option<Value> {
        const KEPT: usize = 256;
        if matches!(self.endpoint, Endpoint::Token | Endpoint::SignUp) {
            return Some(masked(&self.fields()));
        }
        match serde_json::from_slice(&self.body) {
            _ if self.body.is_empty() => None,
            Ok(Value::Object(object)) => Some(masked(&object)),
            Ok(other) => Some(other),
            Err(_) => Some(String::from_utf8_lossy(&self.body[..self.body.len().min(KEPT)]).into()),
        }
    }
}

/// Adds a call to the log.
pub(super) fn log(
    state: &mut State,
    request: &TenantRequest,
    client: Option<&str>,
    status: Option<u16>,
    fault: Option<&Fault>,
    outcome: &Outcome,
) {
    let query = if request.query.is_empty() {
        String::new()
    } else {
        format!("?{}", request.query)
    };
    state.calls.push(Call {
        at: crate::now(),
        client: client.map(str::to_owned).or_else(|| outcome.client.clone()),
        method: request.method.clone(),
        path: format!("{}{query}", request.path),
        endpoint: request.endpoint,
        user_id: request.user_id.clone().or_else(|| outcome.user_id.clone()),
        status,
        body: request.shown_body(),
        applied: outcome.applied,
        traceparent: request
            .headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        fault: fault.map(Fault::name),
    });
}
