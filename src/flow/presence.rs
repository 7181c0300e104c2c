//! Whether Auth0 knows an id: as an account, or as an id that is linked to one.
//!
//! Owns the two calls and their order. Must never take a refused or failed call for an absent user.

use std::sync::Arc;

use super::permit::RateLimiter;
use crate::auth0::{CallError, Reader, Reply};
use crate::metrics::{Call, CallResult, Metrics};
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::pacer::{CallKind, RatePlan};

/// The result of the question to Auth0 for an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is the id of an account.
    Account,
    /// It is linked to this account, by a search.
    LinkedTo(UserId<'static>),
    /// Neither.
    Absent,
}

/// The tenant's rate limit, and the metrics, of calls beside the attempts.
#[derive(Clone)]
pub(super) struct Paced {
    pub(super) rate_limiter: Arc<RateLimiter>,
    pub(super) metrics: Arc<Metrics>,
}

/// Questions of a command about many ids, within the rate limit.
pub struct Questions {
    reader: Reader,
    paced: Paced,
}

impl Questions {
    /// Returns them; `reserve` is the share of the rate limit that is left to other clients.
    #[must_use]
    pub fn new(reader: Reader, plan: RatePlan, reserve: f64) -> Self {
        let paced = Paced {
            rate_limiter: RateLimiter::beside_the_worker(plan, reserve),
            metrics: Arc::new(Metrics::new(&[])),
        };
        Self { reader, paced }
    }

    /// Asks Auth0 for an id, and again while it returns 429.
    ///
    /// # Errors
    /// Auth0 gave no answer about this id.
    pub async fn presence(&self, user: &UserId<'_>) -> Result<Presence, CallError> {
        loop {
            // The rate limiter waits as long as the response demands.
            match ask(&self.reader, user, Some(&self.paced)).await {
                Err(CallError::Limited) => {}
                other => return other,
            }
        }
    }
}

/// Asks Auth0 for an id, in two calls at most. For a command, which makes few.
///
/// # Errors
/// Auth0 gave no answer about this id.
pub async fn presence(reader: &Reader, user: &UserId<'_>) -> Result<Presence, CallError> {
    ask(reader, user, None).await
}

/// As [`presence`], within the rate limit.
pub(super) async fn ask(
    reader: &Reader,
    user: &UserId<'_>,
    paced: Option<&Paced>,
) -> Result<Presence, CallError> {
    match call(paced, Call::GetUser, reader.get_needed(user)).await {
        Ok(_) => return Ok(Presence::Account),
        Err(CallError::Gone { .. }) => {}
        Err(error) => return Err(error),
    }
    let primary = call(paced, Call::SearchUsers, reader.find_primary(user)).await?;
    Ok(primary.map_or(Presence::Absent, Presence::LinkedTo))
}

async fn call<T>(
    paced: Option<&Paced>,
    kind: Call,
    call: impl Future<Output = Reply<T>>,
) -> Result<T, CallError> {
    let Some(Paced {
        rate_limiter,
        metrics,
    }) = paced
    else {
        return call.await.result;
    };
    let mut permit = rate_limiter.acquire().await;
    let Reply { result, rate, .. } = call.await;
    permit.answered(CallKind::Read, &rate, matches!(result, Err(CallError::Limited)));
    let counted = result.as_ref().map_or_else(CallError::result, |_| CallResult::Ok);
    metrics.auth0_calls.of((kind, counted)).inc();
    result
}
