//! The calls of a run, one at a time.
//!
//! Owns their pace and their retries. Must never make a call without permission of the rate plan, and never retry without a
//! bound, except while Auth0 says that the rate limit is used up.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::progress::Report;
use crate::auth0::{CallError, LaterWhy, Reply};
use crate::flow::backoff::base_delay;
use crate::flow::permit::RateLimiter;
use crate::store::{Store, StoreError};
use rolekeeper_domain::pacer::{CallKind, RateHeaders, RatePlan};
use rolekeeper_domain::schedule::MAX_FLOOR;

/// Attempts at one call while Auth0 fails: about two minutes.
const ATTEMPTS: u32 = 7;
/// Delay before a call about jobs where the plan counts them separately: a fifth of the 150 a minute of the smallest such plan.
const JOBS_APART: Duration = Duration::from_secs(2);
/// The same after a 429 without a time.
const LIMITED_WAIT: Duration = Duration::from_secs(10);

/// Makes calls.
pub(in crate::flow) struct Calls {
    rate_limiter: Arc<RateLimiter>,
    /// Calls about jobs have a rate limit of their own.
    jobs_apart: bool,
    report: Report,
}

/// The bucket that pays for a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::flow) enum Paid {
    Users,
    Jobs,
}

impl Calls {
    /// Calls beside the worker's, within its reserve and the one that the settings of the command leave to other clients.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub(in crate::flow) async fn beside_the_worker(
        store: &Store,
        plan: RatePlan,
        own_reserve: Option<f64>,
        report: Report,
    ) -> Result<Self, StoreError> {
        let reserve = store.limits().await?.reserve().max(own_reserve.unwrap_or(0.0));
        Ok(Self {
            rate_limiter: RateLimiter::beside_the_worker(plan, reserve),
            // Jobs count separately where the tenant's log does.
            jobs_apart: plan.has_bucket_for_logs(),
            report,
        })
    }

    /// Makes a call, and repeats it while Auth0 fails.
    pub(in crate::flow) async fn make<T>(
        &self,
        paid: Paid,
        call: impl AsyncFn() -> Reply<T>,
    ) -> Result<T, CallError> {
        let mut failures = 0;
        loop {
            let Reply { result, rate, .. } = self.once(paid, &call).await;
            match result {
                Err(CallError::Limited) => {
                    self.report
                        .line("Auth0 returned 429: the rate limit is used up; waiting");
                    if paid == Paid::Jobs && self.jobs_apart {
                        sleep(rate.retry_after.unwrap_or(LIMITED_WAIT).min(MAX_FLOOR)).await;
                    }
                }
                Err(error) if is_temporary(&error) && failures + 1 < ATTEMPTS => {
                    failures += 1;
                    let wait = base_delay(failures).max(rate.retry_after.unwrap_or_default().min(MAX_FLOOR));
                    self.report
                        .line(&format!("{error}; the next attempt is in {} s", wait.as_secs()));
                    sleep(wait).await;
                }
                other => return other,
            }
        }
    }

    /// One call, charged to the rate limit like any other.
    async fn once<T>(&self, paid: Paid, call: &impl AsyncFn() -> Reply<T>) -> Reply<T> {
        if paid == Paid::Jobs && self.jobs_apart {
            sleep(JOBS_APART).await;
            return call().await;
        }
        let mut permit = self.rate_limiter.acquire().await;
        let reply = call().await;
        let limited = matches!(reply.result, Err(CallError::Limited));
        let rate: &RateHeaders = &reply.rate;
        permit.answered(CallKind::Read, rate, limited);
        reply
    }
}

/// Whether a retry may succeed.
fn is_temporary(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Later {
            why: LaterWhy::Network | LaterWhy::Timeout | LaterWhy::Server | LaterWhy::TokenUnavailable,
            ..
        }
    )
}
