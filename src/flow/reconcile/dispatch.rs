//! The loop that consumes the work queue.
//!
//! Owns the order between two attempts: turn, claim, start. Must never end during a claim, and never run two probes at
//! once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

use super::attempt::{Attempt, AttemptError};
use super::claim;
use super::dispatcher::Dispatcher;
use super::slots::Slot;
use super::turns::ClaimSize;
use crate::store::{Channel, StoreError};

impl Dispatcher {
    /// Wakes the queue on notifications. The first wake covers users that were queued before the worker listened.
    pub(in crate::flow) async fn listen(&self) -> Result<(), StoreError> {
        let mut listener = self.context.store.listen(Channel::WorkQueue).await?;
        loop {
            self.wake.notify_one();
            listener.notified().await?;
        }
    }

    /// Claims users as permission and priority allow. `ending` ends it between two users, never during a claim.
    pub(in crate::flow) async fn dispatch(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        ending: &CancellationToken,
    ) -> Result<(), StoreError> {
        let (mut held, mut size) = (None, ClaimSize::new());
        for number in 0.. {
            let turn = ending.run_until_cancelled(self.turn(size)).await;
            let Some(Some(mut turn)) = turn else {
                return Ok(());
            };
            if !turn.half_open && self.health.breaker().open_until().is_some() {
                continue; // It opened meanwhile.
            }
            while attempts.try_join_next().is_some() {}
            let until_record_attempt = self.rate_limiter.until_record_attempt();
            let by_record = until_record_attempt.is_zero();
            let order = self.order(number, turn.half_open, held.take());
            let asked = turn.permits.len();
            let claimed = claim::due_users(&self.context, (by_record, order, asked)).await?;
            size.took(
                asked,
                claimed.as_ref().map_or(0, |claimed| claimed.claims().len()),
            );
            let Some(claimed) = claimed else {
                drop(turn);
                let wait = self.no_user_is_due(until_record_attempt);
                match ending.run_until_cancelled(wait).await {
                    Some(Ok(true)) => continue,
                    Some(Ok(false)) | None => return Ok(()),
                    Some(Err(why)) => return Err(why),
                }
            };
            self.health.breaker().taken(claimed.priority());
            let leases = claimed.claims().iter();
            let leases: Vec<_> = leases.map(|claim| self.lease_of(claim, Duration::ZERO)).collect();
            let begun = match claimed.begin(&self.context, &mut turn.permits).await {
                Ok(begun) => begun,
                Err(why) => {
                    // The claim may be committed.
                    for lease in leases {
                        self.give_back_later(lease);
                    }
                    return Err(why);
                }
            };
            self.context
                .metrics
                .reconcile
                .attempts_ended
                .inc_by(begun.unneeded as u64);
            held = begun.held;
            size.one_by_one(begun.one_by_one);
            for (attempt, slot) in begun.attempts.into_iter().zip(std::mem::take(&mut turn.slots)) {
                self.start(attempts, attempt, (slot, turn.allowed_at));
            }
            if turn.half_open {
                // One probe at a time while credentials are in doubt.
                while attempts.join_next().await.is_some() {}
            }
        }
        Ok(())
    }

    /// Starts an attempt, which keeps its slot until the user is recorded or requeued. It counts as begun when the circuit
    /// breaker allowed it: one that was allowed before the breaker opened is none of its probes.
    fn start(
        self: &Arc<Self>,
        attempts: &mut JoinSet<()>,
        mut attempt: Attempt,
        (slot, allowed_at): (Slot, Instant),
    ) {
        let this = Arc::clone(self);
        let claim = &attempt.claim;
        let traced = attempt.span();
        let (user, attempts_before, trace_id) = (claim.user.as_str(), claim.attempts, traced.trace_id());
        let span = info_span!("attempt", user.id = user, attempt = attempts_before, trace_id);
        let run = async move {
            // This user alone is affected; other users must not wait. The attempt's Postgres transaction is
            // rolled back.
            let ended = AssertUnwindSafe(traced.around(attempt.run()))
                .catch_unwind()
                .await;
            let ended = ended.unwrap_or(Err(AttemptError::Panicked));
            if let Err(why) = &ended {
                traced.failed(&why.class());
            }
            traced.end();
            this.finish_attempt(&attempt.claim, allowed_at, attempt.permit.last(), ended)
                .await;
            drop(slot);
        };
        attempts.spawn(run.instrument(span));
    }
}
