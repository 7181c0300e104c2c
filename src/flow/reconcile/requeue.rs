//! Handles a user whose attempt did not complete.
//!
//! Owns the sorting by what acts next: the user waits, the user is parked, or the whole stage stops. Must never use up
//! attempts for failures that the user did not cause, and never give up on a user without a report.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Reconcile;
use super::attempt::AttemptError;
use super::circuit_breaker::{CircuitBreaker, Closing, STOPPED, Stop};
use crate::auth0::{CallError, LaterWhy, Outcome, RateHeaders, Reply};
use crate::flow::backoff::base_delay;
use crate::metrics::{Call, CallResult};
use crate::store::leases::Failed;
use crate::store::{Claim, StoreError, leases};
use rolekeeper_domain::pacer::Kind;
use rolekeeper_domain::schedule::{DENIED_AT_MOST, Ended, Next, next};

/// Extra delay, after the next probe, of a user that failed while the stage had to stop, so that other users are probed
/// first.
const OTHERS_FIRST: Duration = Duration::from_millis(500);

/// An attempt that failed at Auth0.
struct Failure<'a> {
    claim: &'a Claim,
    began: Instant,
    /// The call that failed.
    kind: Kind,
    error: &'a CallError,
    rate: &'a RateHeaders,
}

impl Reconcile {
    pub(super) fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an attempt: closes the breaker after a success, requeues the user after a failure. `last` is the last call
    /// that was made, and whether Auth0 did what it asked. Only that call counts: an accepted read says nothing about
    /// the write that was refused after it.
    pub(super) async fn finish_attempt(
        &self,
        claim: &Claim,
        began: Instant,
        last: Option<(Kind, bool)>,
        ended: Result<(), AttemptError>,
    ) {
        if let Some((kind, true)) = last
            && !is_useless(&ended)
        {
            let user = claim.user.as_str();
            let closing = self.breaker().accepted(user, began, kind, ended.is_ok());
            self.close(closing).await;
        }
        let written = match ended {
            Ok(()) => {
                self.in_time();
                return;
            }
            Err(AttemptError::Store(why)) if why.is_about_the_data() => {
                let reason = format!("the user's data cannot be stored: {why}");
                self.stumbled(claim, &why.to_string(), reason).await
            }
            Err(why @ AttemptError::Panicked) => {
                self.stumbled(claim, &why.to_string(), why.to_string()).await
            }
            Err(AttemptError::Store(why)) => {
                // The lease expires by itself, and the next attempt reads the profile.
                warn!("attempt aborted: {why}; the user is retried when the lease ends");
                return;
            }
            Err(AttemptError::TooLate) => self.read_again(claim).await,
            Err(AttemptError::Call { error, rate }) => {
                let failure = Failure {
                    claim,
                    began,
                    kind: last.map_or(Kind::Read, |(kind, _)| kind),
                    error: &error,
                    rate: &rate,
                };
                self.handle_failure(&failure).await
            }
        };
        if let Err(why) = written {
            warn!("requeueing the user failed: {why}; the user is retried when the lease ends");
        }
    }

    async fn handle_failure(&self, failure: &Failure<'_>) -> Result<(), StoreError> {
        let Failure {
            claim, began, error, ..
        } = *failure;
        let ended = Ended::from(error);
        if !matches!(ended, Ended::Stopped { .. }) && !matches!(error, CallError::Later { .. }) {
            let closing = self.breaker().answered(began);
            self.close(closing).await;
        }
        let ended = match self.is_the_tenants(failure).await {
            Some(reason) => Ended::Stopped { reason },
            None => ended,
        };
        let failures = match ended {
            Ended::Stopped { .. } => self.breaker().probes().saturating_add(1),
            _ => failures(claim),
        };
        let next = next(
            ended,
            failures,
            base_delay(failures),
            rand::random(),
            self.floor(failure),
        );
        self.requeue(failure, next).await
    }

    /// The minimum delay of the user's next attempt.
    fn floor(&self, failure: &Failure<'_>) -> Option<Duration> {
        match failure.error {
            CallError::Later {
                outcome: Outcome::Unknown,
                ..
            } => Some(self.settle()),
            _ => failure.rate.retry_after,
        }
    }

    async fn requeue(&self, failure: &Failure<'_>, next: Next) -> Result<(), StoreError> {
        let Failure { claim, error, .. } = *failure;
        let (why, code) = (error.to_string(), error.code());
        let failed = Failed {
            why: &why,
            code: code.as_deref(),
        };
        let mut tx = self.store.begin().await?;
        match next {
            Next::Done => {}
            Next::Again {
                after,
                counts_as_attempt: false,
            } => leases::again(&mut tx, claim, after, true, None).await?,
            Next::Again { after, .. } => {
                let (attempt, again_in_s) = (claim.attempts + 1, after.as_secs_f64());
                warn!(attempt, again_in_s, "{error}");
                leases::failed(&mut tx, claim, after, failed, true).await?;
            }
            Next::Parked { reason, .. } => {
                error!("parked for the operator: {reason}");
                leases::park(&mut tx, claim, &reason, failed.code).await?;
            }
            Next::StagePaused { reason, probe_after } => {
                let stopped = Failed {
                    code: Some(STOPPED),
                    ..failed
                };
                let wait = probe_after + OTHERS_FIRST;
                leases::failed(&mut tx, claim, wait, stopped, false).await?;
                self.trip(failure, &reason, probe_after);
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether any user would meet this failure, and the reason.
    async fn is_the_tenants(&self, failure: &Failure<'_>) -> Option<String> {
        let Failure {
            claim, kind, error, ..
        } = *failure;
        let (user, code) = (claim.user.as_str(), error.code()?);
        let users = {
            let mut breaker = self.breaker();
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
        let other_says = error.is_denied() && kind == Kind::Read && !self.breaker().accepts_others(user);
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
        let Reply { result, rate, .. } = self.reader.get_nobody().await;
        permit.answered(Kind::Read, &rate, matches!(result, Err(CallError::Limited)));
        let counted = result.as_ref().map_or_else(CallError::result, |_| CallResult::Ok);
        self.metrics.auth0_calls.of((Call::GetUser, counted)).inc();
        let stops =
            |error: &CallError| error.is_denied() || matches!(Ended::from(error), Ended::Stopped { .. });
        result.err().filter(stops)
    }

    /// Counts a failure caused by the user's data, stored or to be stored, or by our handling of it; it would recur at
    /// each attempt.
    async fn stumbled(&self, claim: &Claim, why: &str, reason: String) -> Result<(), StoreError> {
        let failures = failures(claim);
        let ended = Ended::Doubtful {
            reason,
            most: DENIED_AT_MOST,
        };
        let mut tx = self.store.begin().await?;
        match next(ended, failures, base_delay(failures), rand::random(), None) {
            Next::Parked { reason, .. } => {
                error!("parked for the operator: {reason}");
                leases::park(&mut tx, claim, &reason, None).await?;
            }
            Next::Again { after, .. } => {
                warn!(
                    attempt = failures,
                    again_in_s = after.as_secs_f64(),
                    "attempt aborted: {why}"
                );
                let failed = Failed { why, code: None };
                leases::failed(&mut tx, claim, after, failed, true).await?;
            }
            Next::Done | Next::StagePaused { .. } => {}
        }
        Ok(tx.commit().await?)
    }

    /// Opens the circuit breaker; logs an error only the first time.
    fn trip(&self, failure: &Failure<'_>, reason: &str, probe_after: Duration) {
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
            .breaker()
            .trip(claim.user.as_str(), began, &stop, probe_after);
        if opened {
            self.metrics.breaker_opened.inc();
            error!(
                "reconcile is paused by the circuit breaker: {reason}. Nothing is lost; it resumes by itself once that is fixed"
            );
            self.readiness
                .not_ready(super::STAGE, format!("circuit breaker open: {reason}"));
        }
        self.metrics.reconcile_paused.set(1);
    }

    /// Closes the breaker, once all users that failed for its cause are due again.
    async fn close(&self, closing: Option<Closing>) {
        let Some(Closing { codes, failing_for }) = closing else {
            return;
        };
        // The first user may have been requeued a moment before the failure was noted here.
        let within = failing_for + super::lease_for(self.request_timeout);
        let woken = match self.store.wake_failed(&codes, within).await {
            Ok(woken) => woken,
            Err(why) => {
                warn!(
                    "Auth0 accepts our calls again, but the users that failed could not be requeued: {why}"
                );
                return;
            }
        };
        if self.breaker().open_until().is_none() {
            return;
        }
        info!(
            users = woken.len(),
            "Auth0 accepts our calls again, reconcile continues"
        );
        self.breaker().close(woken);
        self.report_ready("active");
        self.metrics.reconcile_paused.set(0);
        self.wake.notify_one();
    }
}

/// Whether a response was accepted in form alone: its content could not be used.
fn is_useless(ended: &Result<(), AttemptError>) -> bool {
    let bad = |error: &CallError| {
        matches!(
            error,
            CallError::Later {
                why: LaterWhy::BadAnswer,
                ..
            }
        )
    };
    matches!(ended, Err(AttemptError::Call { error, .. }) if bad(error))
}

/// Consecutive failed attempts of a user, including the one that just ended.
fn failures(claim: &Claim) -> u32 {
    u32::try_from(claim.attempts).unwrap_or(0).saturating_add(1)
}
