//! One request from its arrival to its response.
//!
//! Owns the order of the steps: half the latency, token, rate limit, fault, the call itself (`deal`), the call log, the other
//! half of the latency, the response. The state is never locked during a wait.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shares};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use rand::RngExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::calls::{Call, Endpoint, route};
use super::errors::ApiError;
use super::faults::Fault;
use super::records::masked;
use super::serve::Cut;
use super::state::{Grant, State};
use super::{Shared, TenantOptions};
use super::{deal, render, token_api};

/// Largest accepted body.
const MAX_BODY: usize = 4 << 20;

/// A completely read request.
pub(super) struct Asked {
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
    pub fault: Option<Fault>,
}

/// Responds to every request.
pub(super) async fn answer(
    Shares(shared): Shares<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        cut.now();
        return Response::new(Body::empty());
    };
    let latency = shared.latency();
    sleep(latency / 2).await;
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let answer = match route(&method, &path) {
        Err(error) => Answer::refused(&error),
        Ok((endpoint, user_id)) => {
            let asked = Asked {
                method,
                path,
                query,
                headers: parts.headers,
                body,
                endpoint,
                user_id,
            };
            dealt_with(&shared, &asked).await
        }
    };
    sleep(latency.saturating_sub(latency / 2)).await;
    render::response(answer, cut)
}

async fn dealt_with(shared: &Shared, asked: &Asked) -> Answer {
    let admitted = match admit(shared, asked) {
        Ok(admitted) => admitted,
        Err(answer) => return *answer,
    };
    if let Some(Fault::Delay(pause)) = admitted.fault {
        sleep(pause).await;
    }
    let answer = deal::act(shared, asked, admitted);
    if let Some(Fault::DelayedAnswer(pause)) = answer.fault {
        sleep(pause).await;
    }
    answer
}

/// Checks token, rate limit and fault, in this order. Refusals are logged here.
fn admit(shared: &Shared, asked: &Asked) -> Result<Admitted, Box<Answer>> {
    let mut state = shared.lock();
    if !asked.endpoint.is_managing() {
        let fields = asked.fields();
        let fault = state.faults.take(
            asked.endpoint,
            None,
            fields.get("client_id").and_then(Value::as_str),
        );
        return Ok(Admitted {
            grant: None,
            rate: vec![],
            fault,
        });
    }
    let grant = match grant(&state, &asked.headers) {
        Ok(grant) => grant,
        Err(error) => {
            log(
                &mut state,
                asked,
                None,
                Some(error.status),
                None,
                &Outcome::default(),
            );
            return Err(Box::new(Answer::refused(&error)));
        }
    };
    let now = crate::now();
    let passage = state.limiter.take(asked.endpoint, shared.started.elapsed());
    let rate = passage
        .map(|passage| passage.headers(now, shared.options.reset_means))
        .unwrap_or_default();
    if let Some(passage) = passage
        && !passage.allowed
    {
        log(
            &mut state,
            asked,
            Some(&grant.client),
            Some(429),
            None,
            &Outcome::default(),
        );
        let mut answer = Answer::refused(&ApiError::too_many_requests());
        answer.headers = rate;
        if shared.options.retry_after {
            answer
                .headers
                .push(("retry-after".into(), passage.retry_after().to_string()));
        }
        return Err(Box::new(answer));
    }
    let fault = state
        .faults
        .take(asked.endpoint, asked.user_id.as_deref(), Some(&grant.client));
    Ok(Admitted {
        grant: Some(grant),
        rate,
        fault,
    })
}

fn grant(state: &State, headers: &HeaderMap) -> Result<Grant, ApiError> {
    let value = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    let grant = state
        .tokens
        .get(token.ok_or_else(ApiError::missing_authentication)?);
    grant
        .filter(|grant| grant.expires > Instant::now())
        .cloned()
        .ok_or_else(ApiError::invalid_token)
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
            fault: None,
        }
    }

    pub(super) fn refused(error: &ApiError) -> Self {
        Self::new(error.status, vec![], Some(error.body()))
    }
}

impl Asked {
    /// Returns the fields of a request outside the Management API.
    pub(super) fn fields(&self) -> super::merge::Object {
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
    asked: &Asked,
    client: Option<&str>,
    status: Option<u16>,
    fault: Option<&Fault>,
    outcome: &Outcome,
) {
    let query = if asked.query.is_empty() {
        String::new()
    } else {
        format!("?{}", asked.query)
    };
    state.calls.push(Call {
        at: crate::now(),
        client: client.map(str::to_owned).or_else(|| outcome.client.clone()),
        method: asked.method.clone(),
        path: format!("{}{query}", asked.path),
        endpoint: asked.endpoint,
        user_id: asked.user_id.clone().or_else(|| outcome.user_id.clone()),
        status,
        body: asked.shown_body(),
        applied: outcome.applied,
        fault: fault.map(Fault::name),
    });
}

impl Shared {
    /// Returns the latency of this call, on the network and in the tenant.
    fn latency(&self) -> Duration {
        self.lock().rng.random_range(self.options.latency.clone())
    }
}
