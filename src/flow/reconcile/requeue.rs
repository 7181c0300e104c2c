//! Handles a user whose attempt did not complete.
//!
//! Owns the sorting by what acts next: the user waits, the user is parked, or the whole stage stops. Must never use up
//! attempts for failures that the user did not cause, and never give up on a user without a report.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use super::attempt::{AttemptError, Completed};
use super::circuit_breaker::STOPPED;
use super::dispatcher::Dispatcher;
use super::tenant_failure::Failure;
use crate::auth0::{CallError, LaterWhy, Outcome};
use crate::flow::backoff::base_delay;
use crate::metrics::Unsent;
use crate::store::leases::Failed;
use crate::store::{Claim, StoreError, leases};
use rolekeeper_domain::pacer::CallKind;
use rolekeeper_domain::schedule::{DENIED_AT_MOST, Ended, Next, next};

/// Extra delay, after the next probe, of a user that failed while the stage had to stop, so that other users are probed
/// first.
const OTHERS_FIRST: Duration = Duration::from_millis(500);
/// Shortest and longest delay before the user of a wasted read is read again.
const LEAST_READ_DELAY: Duration = Duration::from_secs(2);
const LONGEST_READ_DELAY: Duration = Duration::from_mins(5);

impl Dispatcher {
    /// Ends an attempt: closes the breaker after a success, requeues the user after a failure. `last` is the last call
    /// that was made, and whether Auth0 did what it asked. Only that call counts: an accepted read says nothing about
    /// the write that was refused after it.
    pub(super) async fn finish_attempt(
        &self,
        claim: &Claim,
        began: Instant,
        last: Option<(CallKind, bool)>,
        ended: Result<Completed, AttemptError>,
    ) {
        if matches!(ended, Ok(Completed::Requeued)) {
            self.wake.notify_one();
        }
        if let Some((kind, true)) = last
            && !is_useless(&ended)
        {
            let user = claim.user.as_str();
            self.forget_unqueued().await;
            let closing = self.health.breaker().accepted(user, began, kind, ended.is_ok());
            self.close(closing).await;
        }
        // A write without a response may still arrive.
        let wait = match (last, &ended) {
            (Some((CallKind::Write, false)), _) | (_, Err(AttemptError::Panicked)) => {
                self.context.settle_delay()
            }
            _ => Duration::ZERO,
        };
        let written = match ended {
            Ok(completed) => {
                if completed == Completed::Done {
                    self.context.metrics.reconcile.attempts_ended.inc();
                }
                self.health.in_time();
                self.context.slots.in_time();
                return;
            }
            Err(AttemptError::Store(why)) if why.is_about_the_data() => {
                let reason = format!("the user's data cannot be stored: {why}");
                self.failed_to_start(claim, &why.to_string(), reason).await
            }
            Err(why @ AttemptError::Panicked) => {
                self.failed_to_start(claim, &why.to_string(), why.to_string())
                    .await
            }
            Err(AttemptError::Store(why)) if why.is_locked() && wait.is_zero() => {
                // The next attempt reads the profile, also where a write could not be recorded.
                let claim = Claim {
                    force_fetch: true,
                    ..claim.clone()
                };
                self.context.postpone_locked(&claim).await
            }
            Err(AttemptError::Store(why)) => {
                // The next attempt reads the profile.
                warn!("attempt aborted: {why}; the user is retried once Postgres responds");
                self.give_back_later(self.lease_of(claim, wait));
                return;
            }
            Err(AttemptError::TooLate) => self.read_again(claim).await,
            Err(AttemptError::Call { error, rate }) => {
                let failure = Failure {
                    claim,
                    began,
                    kind: last.map_or(CallKind::Read, |(kind, _)| kind),
                    error: &error,
                    rate: &rate,
                };
                self.handle_failure(&failure).await
            }
        };
        if let Err(why) = written {
            warn!("requeueing the user failed: {why}; the user is retried once Postgres responds");
            self.give_back_later(self.lease_of(claim, wait));
        }
    }

    async fn handle_failure(&self, failure: &Failure<'_>) -> Result<(), StoreError> {
        let Failure {
            claim, began, error, ..
        } = *failure;
        let ended = Ended::from(error);
        if !matches!(ended, Ended::Stopped { .. }) && !matches!(error, CallError::Later { .. }) {
            let closing = self.health.breaker().answered(began);
            self.close(closing).await;
        }
        let ended = match self.is_the_tenants(failure).await {
            Some(reason) => Ended::Stopped { reason },
            None => ended,
        };
        let failures = match ended {
            Ended::Stopped { .. } => self.health.breaker().probes().saturating_add(1),
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
            } => Some(self.context.settle_delay()),
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
        let mut tx = self.context.store.begin().await?;
        match next {
            Next::Done => {}
            Next::Again {
                after,
                counts_as_attempt: false,
            } => leases::again(&mut tx, claim, after, true, None).await?,
            Next::Again { after, .. } => {
                let (attempt, retry_in_s) = (claim.attempts + 1, after.as_secs_f64());
                warn!(attempt, retry_in_s, "{error}");
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
        crash_point!("requeued");
        Ok(())
    }

    /// Counts a failure caused by the user's data, stored or to be stored, or by our handling of it; it would recur at
    /// each attempt.
    async fn failed_to_start(&self, claim: &Claim, why: &str, reason: String) -> Result<(), StoreError> {
        let failures = failures(claim);
        let ended = Ended::Doubtful {
            reason,
            most: DENIED_AT_MOST,
        };
        let mut tx = self.context.store.begin().await?;
        match next(ended, failures, base_delay(failures), rand::random(), None) {
            Next::Parked { reason, .. } => {
                error!("parked for the operator: {reason}");
                leases::park(&mut tx, claim, &reason, None).await?;
            }
            Next::Again { after, .. } => {
                warn!(
                    attempt = failures,
                    retry_in_s = after.as_secs_f64(),
                    "attempt aborted: {why}"
                );
                let failed = Failed { why, code: None };
                leases::failed(&mut tx, claim, after, failed, true).await?;
            }
            Next::Done | Next::StagePaused { .. } => {}
        }
        tx.commit().await?;
        crash_point!("not_started");
        Ok(())
    }

    /// Requeues a user whose write was not sent in time, to be read again.
    async fn read_again(&self, claim: &Claim) -> Result<(), StoreError> {
        self.context.metrics.reconcile.unsent.of(Unsent::Slow).inc();
        let attempt = failures(claim).saturating_add(1);
        let base = base_delay(attempt).min(LONGEST_READ_DELAY);
        let Next::Again { after, .. } = next(
            Ended::Later,
            attempt,
            base,
            rand::random(),
            Some(LEAST_READ_DELAY),
        ) else {
            return Ok(());
        };
        let why = "more than 2 s, or the rest of the lease, passed between the read and the write";
        warn!(
            retry_in_s = after.as_secs_f64(),
            "not written: {why}; the user is read again"
        );
        self.health.read_in_vain();
        self.context.slots.too_late();
        let mut tx = self.context.store.begin().await?;
        leases::again(&mut tx, claim, after, true, Some(why)).await?;
        tx.commit().await?;
        crash_point!("read_again");
        Ok(())
    }
}

/// Whether a response was accepted in form alone: its content could not be used.
fn is_useless(ended: &Result<Completed, AttemptError>) -> bool {
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
