//! One request from its arrival to its response.
//!
//! Owns the order of the steps: half the latency, token, rate limit, fault, the call itself (`handle`), the call log, the other
//! half of the latency, the response. The state is never locked during a wait.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shares};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::calls::route;
use super::errors::ApiError;
use super::exchange::{Admitted, Answer, Outcome, TenantRequest, log};
use super::faults::Fault;
use super::serve::Reset;
use super::shared::Shared;
use super::state::{Grant, State};
use super::{handle, render};

/// Largest accepted body.
const MAX_BODY: usize = 4 << 20;

/// Responds to every request.
pub(super) async fn answer(
    Shares(shared): Shares<Arc<Shared>>,
    ConnectInfo(reset): ConnectInfo<Reset>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        reset.now();
        return Response::new(Body::empty());
    };
    let latency = shared.latency();
    sleep(latency / 2).await;
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let answer = match route(&method, &path) {
        Err(error) => Answer::refused(&error),
        Ok((endpoint, user_id)) => {
            let request = TenantRequest {
                method,
                path,
                query,
                headers: parts.headers,
                body,
                endpoint,
                user_id,
            };
            respond(&shared, &request).await
        }
    };
    sleep(latency.saturating_sub(latency / 2)).await;
    render::response(answer, reset)
}

async fn respond(shared: &Shared, request: &TenantRequest) -> Answer {
    let admitted = match admit(shared, request) {
        Ok(admitted) => admitted,
        Err(answer) => return *answer,
    };
    if let Some(Fault::Delay(pause)) = admitted.fault {
        sleep(pause).await;
    }
    let answer = handle::act(shared, request, admitted);
    if let Some(Fault::DelayedAnswer(pause)) = answer.fault {
        sleep(pause).await;
    }
    answer
}

/// Checks token, rate limit and fault, in this order. Refusals are logged here.
fn admit(shared: &Shared, request: &TenantRequest) -> Result<Admitted, Box<Answer>> {
    let mut state = shared.lock();
    if !request.endpoint.is_managing() {
        let fields = request.fields();
        let fault = state.faults.take(
            request.endpoint,
            None,
            fields.get("client_id").and_then(Value::as_str),
        );
        return Ok(Admitted {
            grant: None,
            rate: vec![],
            fault,
        });
    }
    let grant = match grant(&state, &request.headers) {
        Ok(grant) => grant,
        Err(error) => {
            log(
                &mut state,
                request,
                None,
                Some(error.status),
                None,
                &Outcome::default(),
            );
            return Err(Box::new(Answer::refused(&error)));
        }
    };
    let now = crate::now();
    let passage = state.limiter.take(request.endpoint, shared.started.elapsed());
    let rate = passage
        .map(|passage| passage.headers(now, shared.options.reset_means))
        .unwrap_or_default();
    if let Some(passage) = passage
        && !passage.allowed
    {
        log(
            &mut state,
            request,
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
        .take(request.endpoint, request.user_id.as_deref(), Some(&grant.client));
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
