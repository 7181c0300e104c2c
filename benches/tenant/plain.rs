//! A plain client: reads and writes each user as fast as it can, with a few tasks at once.
//!
//! Owns the behaviour of a careful script with the official Node SDK: it keeps other roles, and retries as node-auth0 6 does
//! (two retries on 408, 429 and 5xx, after `Retry-After`, else until `X-RateLimit-Reset`, else 1 s x 2^n, at most 60 s;
//! network errors are not retried). It ignores the rate limit until a 429.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use reqwest::{Response, StatusCode};
use rolekeeper_sandbox::tenant::Tenant;
use rolekeeper_sandbox::traffic::ROLE;
use rolekeeper_sandbox::traffic::management::Management;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::world::{CLIENT, SECRET};

const RETRIES: u32 = 2;
const LONGEST_WAIT_S: f64 = 60.0;

/// Grants the role to all `users`; returns the number of changes that failed permanently.
pub(crate) async fn grant(tenant: &Tenant, users: Arc<[String]>, workers: u32) -> Result<usize> {
    let api = Management::connect(tenant, CLIENT, SECRET).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut working = JoinSet::new();
    for _ in 0..workers {
        let (api, users, next) = (api.clone(), Arc::clone(&users), Arc::clone(&next));
        working.spawn(async move {
            let mut failed = 0;
            while let Some(user) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
                failed += usize::from(!change(&api, user).await);
            }
            failed
        });
    }
    Ok(working.join_all().await.iter().sum())
}

/// Reads the user and adds the role to the others; returns whether that succeeded.
async fn change(api: &Management, user: &str) -> bool {
    let Some(read) = retried(api, user, None).await else {
        return false;
    };
    let Ok(profile) = read.json::<Value>().await else {
        return false;
    };
    let mut roles = profile["app_metadata"]["roles"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    roles.push(ROLE.into());
    let patch = json!({"app_metadata": {"roles": roles}});
    retried(api, user, Some(&patch)).await.is_some()
}

/// Returns the response of a successful call, after retries.
async fn retried(api: &Management, user: &str, patch: Option<&Value>) -> Option<Response> {
    for retry in 0..=RETRIES {
        let answer = api.user(user, patch).await.ok()?;
        let status = answer.status();
        if status.is_success() {
            return Some(answer);
        }
        let again = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        ) || status.is_server_error();
        if !again || retry == RETRIES {
            return None;
        }
        sleep(wait(&answer, retry)).await;
    }
    None
}

fn wait(answer: &Response, retry: u32) -> Duration {
    let header = |name: &str| answer.headers().get(name)?.to_str().ok()?.parse::<f64>().ok();
    let now = rolekeeper_sandbox::now().unix_timestamp_nanos() as f64 / 1e9;
    let until_reset = header("x-ratelimit-reset")
        .map(|reset| reset - now)
        .filter(|wait| *wait > 0.0);
    let seconds = match (header("retry-after"), until_reset) {
        (Some(seconds), _) => seconds.min(LONGEST_WAIT_S),
        (None, Some(seconds)) => seconds.min(LONGEST_WAIT_S) * rand::random_range(1.0..1.2),
        (None, None) => f64::from(1_u32 << retry).min(LONGEST_WAIT_S) * rand::random_range(0.9..1.1),
    };
    Duration::from_secs_f64(seconds.max(0.0))
}
