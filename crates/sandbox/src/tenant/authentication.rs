//! Performs requests outside the Management API: tokens, sign-ups, the keys.
//!
//! Owns the step from a decision to the changed state. No request here needs a token or counts for the rate limit of the
//! Management API.

use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::calls::{Actor, Endpoint};
use super::change::Change;
use super::exchange::{Answer, Outcome, TenantRequest};
use super::merge::Object;
use super::shared::Shared;
use super::state::{Grant, State};
use super::{login, sign_up, token_api};

/// Performs the request.
pub(super) fn act(
    shared: &Shared,
    state: &mut State,
    request: &TenantRequest,
    apply: bool,
) -> (Answer, Outcome) {
    let fields = request.fields();
    match request.endpoint {
        Endpoint::Keys => {
            let keys = state.keys.public();
            (Answer::new(200, vec![], Some(keys)), Outcome::default())
        }
        Endpoint::Discovery => {
            let issuer = request.issuer(&shared.options);
            let body = json!({
                "issuer": issuer,
                "token_endpoint": format!("{issuer}oauth/token"),
                "jwks_uri": format!("{issuer}.well-known/jwks.json"),
                "id_token_signing_alg_values_supported": ["ES256"],
            });
            (Answer::new(200, vec![], Some(body)), Outcome::default())
        }
        Endpoint::SignUp => sign_up(shared, state, &fields, apply),
        _ if login::is_asked(&fields) => log_in(shared, state, request, &fields, apply),
        _ => to_client(shared, state, request, &fields, apply),
    }
}

fn sign_up(shared: &Shared, state: &mut State, fields: &Object, apply: bool) -> (Answer, Outcome) {
    let now = crate::now();
    let new_id = format!("{:024x}", state.rng.random::<u128>() >> 32);
    let change = match sign_up::decide(&state.users, fields, &new_id, now) {
        Ok(change) => change,
        Err((status, body)) => return (Answer::new(status, vec![], Some(body)), Outcome::default()),
    };
    let answer = sign_up::answer(change.user());
    let outcome = outcome(fields, Some(&change), apply);
    if apply {
        state.commit(&change, Actor::User, now, &shared.options);
    }
    (Answer::new(200, vec![], Some(answer)), outcome)
}

/// Issues tokens for a user.
fn log_in(
    shared: &Shared,
    state: &mut State,
    request: &TenantRequest,
    fields: &Object,
    apply: bool,
) -> (Answer, Outcome) {
    let (options, now) = (&shared.options, crate::now());
    let accepted = match login::decide(state, options, fields, &request.issuer(options), now) {
        Ok(accepted) => accepted,
        Err(refusal) => {
            if let Some(record) = refusal.record {
                state.outbox.log(record, now);
            }
            let answer = Answer::new(refusal.status, vec![], Some(refusal.body));
            return (answer, outcome(fields, None, false));
        }
    };
    let signed = |claims: &Option<Value>| claims.as_ref().map(|claims| state.keys.token(claims)).transpose();
    let (Ok(id_token), Ok(access_token)) = (signed(&accepted.id_claims), signed(&accepted.access_claims))
    else {
        return (Answer::new(500, vec![], None), outcome(fields, None, false));
    };
    let mut body = json!({
        // Without an audience, the access token is opaque.
        "access_token": access_token.unwrap_or_else(|| format!("opaque.{:032x}", state.rng.random::<u128>())),
        "token_type": "Bearer",
        "expires_in": options.token_lifetime.as_secs(),
        "scope": accepted.scope,
    });
    if let Some(id_token) = id_token {
        body["id_token"] = id_token.into();
    }
    let outcome = outcome(fields, accepted.changes.first(), apply);
    if apply {
        for change in &accepted.changes {
            // A write of the Action leaves no log record.
            let by = match change {
                Change::LoggedIn { .. } => Actor::User,
                _ => Actor::Unrecorded,
            };
            state.commit(change, by, now, options);
        }
    }
    (Answer::new(200, vec![], Some(body)), outcome)
}

fn outcome(fields: &Object, change: Option<&Change>, applied: bool) -> Outcome {
    Outcome {
        client: fields.get("client_id").and_then(Value::as_str).map(str::to_owned),
        user_id: change.map(|change| change.user_id().to_owned()),
        applied,
    }
}

/// Issues a token for a client itself. A token that is returned but not applied is unknown afterwards.
fn to_client(
    shared: &Shared,
    state: &mut State,
    request: &TenantRequest,
    fields: &Object,
    apply: bool,
) -> (Answer, Outcome) {
    let asking = fields.get("client_id").and_then(Value::as_str).map(str::to_owned);
    let mut outcome = Outcome {
        client: asking,
        ..Outcome::default()
    };
    let request = token_api::Request {
        fields,
        clients: &state.clients,
        used: &state.used_assertions,
        issuer: &request.issuer(&shared.options),
        audience: shared.options.audience.as_deref(),
        now: crate::now(),
    };
    let accepted = match token_api::decide(&request) {
        Ok(accepted) => accepted,
        Err(refusal) => return (Answer::new(refusal.status, vec![], Some(refusal.body)), outcome),
    };
    let client = accepted.client;
    let scopes = state
        .clients
        .get(&client)
        .map(|client| client.scopes.clone())
        .unwrap_or_default();
    let token = format!("sandbox.{:032x}", state.rng.random::<u128>());
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": shared.options.token_lifetime.as_secs(),
        "scope": scopes.join(" "),
    });
    if apply {
        outcome.applied = true;
        let now = Instant::now();
        state.forget_expired(now, crate::now());
        if let Some((id, expires)) = accepted.assertion {
            state.used_assertions.insert((client.clone(), id), expires);
        }
        state.tokens.insert(
            token,
            Grant {
                client,
                scopes,
                expires: now + shared.options.token_lifetime,
            },
        );
    }
    (Answer::new(200, vec![], Some(body)), outcome)
}
