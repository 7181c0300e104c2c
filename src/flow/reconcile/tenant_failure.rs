//! Failures that any user would meet: the tenant and not the user is at fault.
//!
//! Owns the question whether a failure is one, and the stop of the stage until Auth0 accepts our calls again. Must never
//! stop the stage for one user's failure, and never continue without the users that failed for the same cause.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::circuit_breaker::{Closing, Stop};
use super::dispatcher::Dispatcher;
use crate::auth0::{CallError, LaterWhy, RateHeaders, Reply};
use crate::metrics::{Call, CallResult};
use crate::store::Claim;
use rolekeeper_domain::pacer::CallKind;
use rolekeeper_domain::schedule::Ended;

/// An attempt that failed at Auth0.
pub(super) struct Failure<'a> {
    pub(super) claim: &'a Claim,
    pub(super) began: Instant,
    /// The call that failed.
    pub(super) kind: CallKind,
    pub(super) error: &'a CallError,
    pub(super) rate: &'a RateHeaders,
}

impl Dispatcher {
    /// Whether any user would meet this failure, and the reason.
    pub(super) async fn is_the_tenants(&self, failure: &Failure<'_>) -> Option<String> {
        let Failure {
            claim, kind, error, ..
        } = *failure;
        let (user, code) = (claim.user.as_str(), error.code()?);
        let users = {
            let mut breaker = self.health.breaker();
            if breaker.open_until().is_some() {
                return Some(error.to_string());
            }
            breaker.refused(user, kind, &code)
        };
        if let Some(users) = users {
            return Some(format!(
                "{users} users in a row failed in the same way, so the cause is not a single user: {error}"
            ));
        }
        let other_says =
            error.is_denied() && kind == CallKind::Read && !self.health.breaker().accepts_others(user);
        let refused = if other_says {
            self.takes_no_calls().await
        } else {
            None
        };
        refused.map(|error| format!("Auth0 refuses to read any user: {error}"))
    }

    /// Asks for a user that does not exist. Returns the error if even that call is denied.
    async fn takes_no_calls(&self) -> Option<CallError> {
        let mut permit = self.rate_limiter.acquire().await;
        let Reply { result, rate, .. } = self.context.reader.get_nobody().await;
        permit.answered(CallKind::Read, &rate, matches!(result, Err(CallError::Limited)));
        let counted = result.as_ref().map_or_else(CallError::result, |_| CallResult::Ok);
        self.context
            .metrics
            .auth0_calls
            .of((Call::GetUser, counted))
            .inc();
        let stops =
            |error: &CallError| error.is_denied() || matches!(Ended::from(error), Ended::Stopped { .. });
        result.err().filter(stops)
    }

    /// Opens the circuit breaker; logs an error only the first time.
    pub(super) fn trip(&self, failure: &Failure<'_>, reason: &str, probe_after: Duration) {
        let Failure {
            claim,
            began,
            kind,
            error,
            ..
        } = *failure;
        let stop = Stop {
            token: matches!(
                error,
                CallError::Credentials { .. }
                    | CallError::Later {
                        why: LaterWhy::TokenUnavailable,
                        ..
                    }
            ),
            kind,
            code: error.code(),
        };
        let opened = self
            .health
            .breaker()
            .trip(claim.user.as_str(), began, &stop, probe_after);
        if opened {
            self.context.metrics.breaker_opened.inc();
            error!(
                "reconcile is paused by the circuit breaker: {reason}. Nothing is lost; it resumes by itself once that is fixed"
            );
            self.health
                .report_not_ready(format!("circuit breaker open: {reason}"));
        }
        self.context.metrics.circuit_breaker_open.set(1);
    }

    /// Lets users leave the open breaker who are in the queue no more: they were erased.
    pub(super) async fn forget_unqueued(&self) {
        let users = self.health.breaker().failed_users();
        if users.is_empty() {
            return;
        }
        match self.context.store.queued(&users).await {
            Ok(queued) => self.health.breaker().forget(&users, &queued),
            Err(why) => warn!("whether users of the open circuit breaker were erased is not known: {why}"),
        }
    }

    /// Closes the breaker, once all users that failed for its cause are due again.
    pub(super) async fn close(&self, closing: Option<Closing>) {
        let Some(Closing { codes, failing_for }) = closing else {
            return;
        };
        // The first user may have been requeued a moment before the failure was noted here.
        let within = failing_for + self.context.lease();
        let woken = match self.context.store.wake_failed(&codes, within).await {
            Ok(woken) => woken,
            Err(why) => {
                warn!(
                    "Auth0 accepts our calls again, but the users that failed could not be requeued: {why}"
                );
                return;
            }
        };
        if self.health.breaker().open_until().is_none() {
            return;
        }
        info!(
            users = woken.len(),
            "Auth0 accepts our calls again, reconcile continues"
        );
        self.health.breaker().close(woken);
        self.health.report_ready("active");
        self.context.metrics.circuit_breaker_open.set(0);
        self.wake.notify_one();
    }
}
