//! Performs a request, as far as its fault permits.
//!
//! Owns the step from a decision to the changed state and the logged call, under one lock.

use super::calls::{Actor, Endpoint, identity, job_id, log_id};
use super::exchange::{Admitted, Answer, Outcome, TenantRequest, log};
use super::exports::New;
use super::faults::Fault;
use super::profile::timestamp;
use super::shared::Shared;
use super::state::{Grant, State};
use super::{authentication, logs_api, users_api};
use axum::http::header::AUTHORIZATION;
use rand::RngExt as _;
use serde_json::Value;

/// Performs the request, unless the fault prevents it, and logs the call.
pub(super) fn act(shared: &Shared, request: &TenantRequest, admitted: Admitted) -> Answer {
    let Admitted { grant, rate, fault } = admitted;
    let mut guard = shared.lock();
    let state = &mut *guard;
    let apply = !matches!(fault, Some(Fault::AnsweredButNotApplied));
    let (mut answer, outcome) = match &fault {
        Some(Fault::Status { code, headers, body }) => (
            Answer::new(*code, headers.clone(), body.clone()),
            Outcome::default(),
        ),
        Some(Fault::HtmlPage(code)) => (Answer::new(*code, vec![], None), Outcome::default()),
        Some(Fault::ConnectionReset) => (Answer::new(0, vec![], None), Outcome::default()),
        _ => match &grant {
            Some(grant) => match request.endpoint {
                Endpoint::ExportUsers | Endpoint::ReadJob => {
                    (jobs(shared, state, request, grant), Outcome::default())
                }
                _ => manage(shared, state, request, grant, apply),
            },
            None if request.endpoint == Endpoint::ExportFile => (file(state, request), Outcome::default()),
            None => authentication::act(shared, state, request, apply),
        },
    };
    if fault == Some(Fault::Stale) {
        make_stale(state, request, &mut answer);
    }
    // Recorded 4xx responses have no rate headers; a 429 has them, by the documentation.
    let success = answer.status.is_some_and(|status| status < 400 || status == 429);
    if success {
        answer.headers.splice(0..0, rate);
    }
    if matches!(fault, Some(Fault::ConnectionReset | Fault::AppliedButUnanswered)) {
        answer.status = None;
    }
    let client = grant.as_ref().map(|grant| grant.client.as_str());
    log(state, request, client, answer.status, fault.as_ref(), &outcome);
    answer.fault = fault;
    drop(guard);
    shared.logged.notify_one();
    answer
}

/// Replaces what the last change of the user changed by what was there before; a response without a user stays as it is.
fn make_stale(state: &State, request: &TenantRequest, answer: &mut Answer) {
    let history = request
        .user_id
        .as_ref()
        .and_then(|user| state.histories.get(user));
    let before = history.and_then(|history| history.iter().rev().nth(1));
    let user = answer.body.as_mut().and_then(Value::as_object_mut);
    if let (Some(before), Some(user)) = (before, user) {
        user.insert("updated_at".into(), timestamp(before.at).into());
        match &before.app_metadata {
            Some(metadata) => user.insert("app_metadata".into(), metadata.clone()),
            None => user.remove("app_metadata"),
        };
    }
}

/// Performs one call about jobs.
fn jobs(shared: &Shared, state: &mut State, request: &TenantRequest, grant: &Grant) -> Answer {
    let now = crate::now();
    let result = if request.endpoint == Endpoint::ExportUsers {
        let id = format!("job_{:016x}", state.rng.random::<u64>());
        let signature = format!("{:032x}", state.rng.random::<u128>());
        let new = New {
            id: &id,
            signature: &signature,
            takes: shared.options.export_takes,
        };
        state
            .exports
            .create(&state.users, &request.body, &grant.scopes, &new, now)
    } else {
        let base = request.address(&shared.options);
        let id = job_id(&request.path).unwrap_or_default();
        state.exports.read(id, &grant.scopes, &base, now)
    };
    match result {
        Ok(body) => Answer::new(200, vec![], Some(body)),
        Err(error) => Answer::refused(&error),
    }
}

/// Sends the file of an export.
fn file(state: &State, request: &TenantRequest) -> Answer {
    let authorized = request.headers.contains_key(AUTHORIZATION);
    match state
        .exports
        .file(&request.path, &request.query, authorized, crate::now())
    {
        Ok(text) => Answer::file(text),
        Err(error) => Answer::refused(&error),
    }
}

/// Performs one call of the Management API.
fn manage(
    shared: &Shared,
    state: &mut State,
    request: &TenantRequest,
    grant: &Grant,
    apply: bool,
) -> (Answer, Outcome) {
    let now = crate::now();
    if request.endpoint == Endpoint::ReadLogs {
        let base = request.issuer(&shared.options);
        let answer = match logs_api::decide(&state.outbox, &request.query, &grant.scopes, &base, now) {
            Ok((logs, next)) => {
                let link = next.map(|next| ("link".to_owned(), format!("<{next}>; rel=\"next\"")));
                Answer::new(200, link.into_iter().collect(), Some(logs))
            }
            Err(error) => Answer::refused(&error),
        };
        return (answer, Outcome::default());
    }
    if request.endpoint == Endpoint::ReadLog {
        let log_id = log_id(&request.path).unwrap_or_default();
        let answer = match logs_api::one(&state.outbox, log_id, &grant.scopes, now) {
            Ok(record) => Answer::new(200, vec![], Some(record)),
            Err(error) => Answer::refused(&error),
        };
        return (answer, Outcome::default());
    }
    let new_id = format!("{:024x}", state.rng.random::<u128>() >> 32);
    let request = users_api::Request {
        endpoint: request.endpoint,
        user_id: request.user_id.as_deref(),
        identity: identity(&request.path),
        query: &request.query,
        body: &request.body,
        scopes: &grant.scopes,
        new_id: &new_id,
        now,
        limit: shared.options.profile_limit,
        search_results: shared.options.search_results,
    };
    let reply = match users_api::decide(&state.users, &request) {
        Ok(reply) => reply,
        Err(error) => return (Answer::refused(&error), Outcome::default()),
    };
    let mut outcome = Outcome::default();
    if let Some(change) = reply.change {
        outcome.user_id = Some(change.user_id().to_owned());
        if apply {
            outcome.applied = true;
            state.commit(&change, Actor::Client(grant.client.clone()), now, &shared.options);
        }
    }
    (Answer::new(reply.status, vec![], reply.body), outcome)
}
