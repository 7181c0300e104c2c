//! What happens to a user whose look did not come to its end.
//!
//! Owns the sorting by who acts next, and the pause of the whole stage. Must never use up attempts for what is
//! not the user's fault, and never give up on a user in silence.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Reconcile;
use super::look::LookError;
use crate::auth0::{CallError, Outcome, RateHeaders};
use crate::domain::schedule::{Ended, Next, next};
use crate::flow::backoff::base_delay;
use crate::store::{Claim, StoreError, looks};

/// The stage waits until there is a token again, or credentials or scopes are mended.
#[derive(Debug, Default)]
pub(super) struct Pause {
    since: Option<Instant>,
    until: Option<Instant>,
    probes: u32,
}

impl Pause {
    /// When the next probe may be made; none when the stage is not paused.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl Reconcile {
    pub(super) fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a look: resumes the stage after a good one, gives the user back after any other. One that was in
    /// hand when the stage was paused neither ends nor prolongs the pause.
    pub(super) async fn give_back(&self, claim: &Claim, began: Instant, ended: Result<(), LookError>) {
        let written = match ended {
            Ok(()) => {
                self.resume(began);
                self.in_time();
                return;
            }
            Err(LookError::Store(why)) => {
                // The lease runs out by itself and the next look reads the profile.
                warn!("look broken off: {why}; the user is looked at again when the lease ends");
                return;
            }
            Err(LookError::TooLate) => self.read_again(claim).await,
            Err(LookError::Call { error, rate }) => self.put_back(claim, began, &error, &rate).await,
        };
        if let Err(why) = written {
            warn!("giving the user back failed: {why}; the user is looked at again when the lease ends");
        }
    }

    async fn put_back(
        &self,
        claim: &Claim,
        began: Instant,
        error: &CallError,
        rate: &RateHeaders,
    ) -> Result<(), StoreError> {
        let ended = Ended::from(error);
        let stopped = matches!(ended, Ended::Stopped { .. });
        if !stopped && !matches!(error, CallError::Later { .. }) {
            self.resume(began);
        }
        let unread = matches!(
            error,
            CallError::Later {
                outcome: Outcome::Unknown,
                ..
            }
        );
        let floor = if unread {
            Some(self.settle())
        } else {
            rate.retry_after
        };
        let failures = if stopped {
            self.pause().probes
        } else {
            u32::try_from(claim.attempts).unwrap_or(0)
        };
        let mut tx = self.store.begin().await?;
        match next(ended, base_delay(failures + 1), rand::random(), floor) {
            Next::Done => {}
            Next::Again {
                after,
                counts_as_attempt,
            } => {
                if counts_as_attempt {
                    warn!(
                        attempt = claim.attempts + 1,
                        again_in_s = after.as_secs_f64(),
                        "{error}"
                    );
                }
                let failed = counts_as_attempt.then(|| error.to_string());
                looks::again(&mut tx, claim, after, true, failed.as_deref()).await?;
            }
            Next::Parked { reason, .. } => {
                error!("parked for a person: {reason}");
                looks::park(&mut tx, claim, &reason).await?;
            }
            Next::StagePaused { reason, probe_after } => {
                looks::again(&mut tx, claim, Duration::ZERO, true, None).await?;
                self.hold(began, &reason, probe_after);
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Pauses the stage; loud once.
    fn hold(&self, began: Instant, reason: &str, probe_after: Duration) {
        let mut pause = self.pause();
        if pause.since.is_some_and(|since| began < since) {
            return;
        }
        if pause.since.is_none() {
            pause.since = Some(Instant::now());
            error!(
                "reconcile is paused: {reason}. Nothing is lost; it goes on by itself once that is mended"
            );
            self.readiness
                .not_ready(super::STAGE, format!("paused: {reason}"));
        }
        self.metrics.reconcile_paused.set(1);
        pause.until = Some(Instant::now() + probe_after);
        pause.probes += 1;
    }

    fn resume(&self, began: Instant) {
        let mut pause = self.pause();
        let Some(since) = pause.since else {
            return;
        };
        if began < since {
            return;
        }
        info!("Auth0 accepts our calls again, reconcile goes on");
        self.readiness.ready(super::STAGE, "active");
        *pause = Pause::default();
        self.metrics.reconcile_paused.set(0);
    }
}
