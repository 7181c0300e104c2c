//! The checks of Auth0.
//!
//! Owns which calls are safe to try: a token, and reads that no user is affected by. Must never send a write.

use std::time::Duration;

use time::OffsetDateTime;

use super::finding::{Finding, bounded, without_settings};
use crate::app;
use crate::auth0::{CallError, LogReader, Reader, Reply, clock_drift};
use crate::clock;
use crate::config::DoctorConfig;

/// Scopes without which a worker cannot write roles. Writes are not tried: the token states its scopes.
const TO_WRITE: [&str; 2] = ["update:users", "update:users_app_metadata"];
/// Scopes without which the tenant's log is not read, and no restore is confirmed.
const OF_THE_LOG: &str = "read:logs and read:logs_users";
/// Shortest and longest wait after a 429; the check must end within its bound.
const WAITS_AT_LEAST: Duration = Duration::from_secs(1);
const WAITS_AT_MOST: Duration = Duration::from_secs(5);
/// The remedy of a refused token.
const REMEDY: &str =
    "check AUTH0_CLIENT_ID, the credential, and that the application is authorised for the Management API";

pub(super) async fn check(config: &DoctorConfig) -> Vec<Finding> {
    if !config.reconciles {
        return vec![Finding::ok("auth0", "the stages of ONLY do not call Auth0")];
    }
    let Some(settings) = &config.auth0 else {
        return without_settings("auth0");
    };
    let client = match app::client(settings) {
        Ok(client) => client,
        Err(why) => return vec![Finding::fault("auth0", format!("{why:#}"))],
    };
    let reader = Reader::new(&client);
    let mut findings = vec![bounded("auth0.token", token(&reader)).await];
    if findings[0].is_fault() {
        findings.push(Finding::unchecked(
            "auth0",
            "all other checks of Auth0 need a token",
        ));
        return findings;
    }
    findings.push(bounded("auth0.scopes", scopes(&reader)).await);
    findings.extend(read(&reader).await);
    findings.push(bounded("auth0.rate", rate(&reader)).await);
    findings.push(bounded("auth0.log", log(&LogReader::new(&client), config.fills_gaps)).await);
    findings
}

async fn token(reader: &Reader) -> Finding {
    let name = "auth0.token";
    match reader.authorize().await {
        // The text about missing scopes names its remedy.
        Err(CallError::Credentials { message } | CallError::Scope { message })
            if !message.contains("grant") =>
        {
            Finding::fault(name, format!("Auth0 refuses a token ({message}): {REMEDY}"))
        }
        token => judged(name, token, "Auth0 issues a token with the scopes to read users"),
    }
}

async fn scopes(reader: &Reader) -> Finding {
    let name = "auth0.scopes";
    let Some(stated) = reader.scopes().await else {
        return Finding::unchecked(name, "the token does not state its scopes");
    };
    let missing: Vec<&str> = TO_WRITE
        .into_iter()
        .filter(|scope| !stated.split_whitespace().any(|one| one == *scope))
        .collect();
    if missing.is_empty() {
        return Finding::ok(name, "the token states the scopes to write roles");
    }
    Finding::fault(
        name,
        format!(
            "the token lacks {}: grant it to the client for the Management API",
            missing.join(" and ")
        ),
    )
}

/// A read of a user that does not exist, and the clock of its response.
async fn read(reader: &Reader) -> Vec<Finding> {
    let mut date = None;
    let name = "auth0.read";
    let finding = bounded(name, async {
        let read = patient(|| reader.get_nobody()).await;
        date = read.date;
        match read.result {
            // The expected response: Auth0 accepts the call and knows no such user.
            Err(CallError::Gone { .. }) | Ok(_) => Finding::ok(name, "Auth0 accepts reads of users"),
            Err(why) => judged(name, Err(why), ""),
        }
    })
    .await;
    vec![finding, skew(date)]
}

async fn rate(reader: &Reader) -> Finding {
    let name = "auth0.rate";
    let reply = patient(|| reader.find_nobody()).await;
    if let Err(why) = reply.result {
        return judged(name, Err(why), "");
    }
    match (reply.rate.limit, reply.rate.remaining) {
        (Some(limit), Some(remaining)) => Finding::ok(name, format!("{remaining} of {limit} calls remain")),
        _ => Finding::warning(
            name,
            "the response has no X-RateLimit headers, so calls follow AUTH0_PLAN alone: check whether a proxy removes them",
        ),
    }
}

fn skew(date: Option<OffsetDateTime>) -> Finding {
    let name = "auth0.clock";
    let Some(date) = date else {
        return Finding::unchecked(name, "no response with a date");
    };
    match clock_drift(clock::now(), date) {
        Some(drift) => Finding::warning(name, drift),
        None => Finding::ok(name, "this host's clock agrees with Auth0's"),
    }
}

async fn log(reader: &LogReader, fills_gaps: bool) -> Finding {
    let name = "auth0.log";
    let newest = patient(|| reader.newest()).await.result.map(drop);
    match newest {
        Err(CallError::Scope { .. }) if !fills_gaps => Finding::warning(
            name,
            format!("roles of other clients that a write overwrote are not restored: grant {OF_THE_LOG}"),
        ),
        Err(CallError::Scope { message }) => Finding::fault(
            name,
            format!("LOG_GAP_FILLER is on, and {message}: grant {OF_THE_LOG}"),
        ),
        newest => judged(name, newest, "Auth0 lets this client read the tenant's log"),
    }
}

/// Makes a call, and once more after the wait that Auth0 asks for: the smallest plans allow two calls at once.
async fn patient<T, F: Future<Output = Reply<T>>>(call: impl Fn() -> F) -> Reply<T> {
    let reply = call().await;
    if !matches!(reply.result, Err(CallError::Limited)) {
        return reply;
    }
    let asked_for = reply.rate.retry_after.unwrap_or(WAITS_AT_LEAST);
    tokio::time::sleep(asked_for.clamp(WAITS_AT_LEAST, WAITS_AT_MOST)).await;
    call().await
}

/// The finding of a call: a refusal is a fault, and a failure that may end by itself leaves it unchecked.
fn judged(name: &'static str, result: Result<(), CallError>, text: &str) -> Finding {
    match result {
        Ok(()) => Finding::ok(name, text),
        Err(why @ (CallError::Limited | CallError::Later { .. })) => {
            Finding::unchecked(name, why.to_string())
        }
        Err(why) => Finding::fault(name, why.to_string()),
    }
}
