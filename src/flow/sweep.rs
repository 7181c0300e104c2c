//! Finds users that events missed.
//!
//! Owns the timer and the parts. The free parts queue users who wait or were left over (facts are compared with
//! decisions by [`super::walk`]), the paid part queues holders whose verification is old, and the last ones remove old
//! rows. Must never call Auth0 or decide: it only fills the queue. A part that fails stops neither the others nor the
//! attempts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::metrics::{Label as _, Later, Metrics, SweepPart as Part};
use crate::store::display_names::NAMES_APART;
use crate::store::race_ends::Ended;
use crate::store::{RaceOutcome, Retained, Store, StoreError};
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::race::MAX_RECORD_WAIT;
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::schedule::PARKED_FOR;

/// Minimum number of verifications in the queue at once; they come last and must not delay urgent users.
const VERIFICATIONS: i64 = 200;
/// Share of the tenant's rate that verifications may use.
const VERIFICATION_SHARE: f64 = 0.5;
/// Factor on the verifications that are due, so that a late sweep is made up for.
const VERIFICATION_SLACK: f64 = 1.25;

const DAY: Duration = Duration::from_hours(24);
/// Age at which a race ends that no attempt concludes.
const RACE_DEADLINE: Duration = DAY;
/// The rows to remove, and their maximum age. Our own writes: Auth0 pauses a log stream that has failed for seven days,
/// and delivers its records when it is resumed. Writes of other clients: longer than our reactions to them. Dead
/// letters: as long as the streams keep their messages by default.
const FORGOTTEN: [(Retained, Duration); 6] = [
    (Retained::OwnWrites, DAY.saturating_mul(8)),
    (Retained::ForeignWrites, DAY.saturating_mul(9)),
    (Retained::NameWrites, NAMES_APART),
    (Retained::Races, DAY.saturating_mul(90)),
    (Retained::DeadLetters, DAY.saturating_mul(30)),
    (Retained::DeadLetterTotals, DAY.saturating_mul(30)),
];

/// The sweep; runs where this worker reconciles.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) rules: Arc<Rules>,
    /// False in shadow mode: a decided change without a write is correct then.
    pub(super) writes: bool,
    /// How long a read profile counts as verified.
    pub(super) verify_after: Duration,
    /// How long a decided change may stay open before it counts as left over: longer than any attempt.
    pub(super) left_over_after: Duration,
    /// Time between two sweeps.
    pub(super) every: Duration,
    /// Reads a second that the tenant allows.
    pub(super) reads_per_s: f64,
}

impl Sweep {
    /// Sweeps at once and then on a timer.
    pub(super) async fn run(&self) -> Infallible {
        let failures = &self.metrics.reconcile.sweep_failures;
        failures.start();
        let mut timer = tokio::time::interval(self.every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            for part in Part::at_start(&[]) {
                if let Err(why) = self.sweep(part).await {
                    failures.of(Later(part)).inc();
                    warn!(
                        part = part.text(),
                        "a part of the sweep failed: {why}; the other parts and the attempts continue"
                    );
                }
            }
        }
    }

    async fn sweep(&self, part: Part) -> Result<(), StoreError> {
        match part {
            Part::Forget => self.forget().await,
            Part::LeftOver => {
                let users = self.store.sweep_left_over(self.left_over_after).await?;
                if users > 0 {
                    warn!(users, "sweep queued users with an unfinished change");
                }
                Ok(())
            }
            Part::Parked => self.store.wake_parked(PARKED_FOR).await,
            Part::Held => self.store.wake_held().await,
            Part::DisplayNames => self.display_names().await,
            Part::Verify => self.verify().await,
            Part::Writes => {
                let users = self.store.follow_up_writes(self.left_over_after).await?;
                if users > 0 {
                    info!(users, "sweep queued users whose last write has an unknown result");
                }
                Ok(())
            }
            Part::Races => self.races().await,
        }
    }

    /// Ends old refusals, and queues users in slices: in shadow mode requests wait without an attempt.
    async fn display_names(&self) -> Result<(), StoreError> {
        self.store.end_refusals(PARKED_FOR).await?;
        let (mut after, mut users) = (self.writes.then(String::new), 0);
        while let Some(last) = after {
            let (queued, next) = self.store.queue_names(&last).await?;
            (after, users) = (next, users + queued);
        }
        if users > 0 {
            info!(users, "sweep queued users whose display name was not written yet");
        }
        Ok(())
    }

    /// Ends races that no attempt can conclude, with an error, and queues the users of the others.
    async fn races(&self) -> Result<(), StoreError> {
        loop {
            let ended = self.store.end_races(RACE_DEADLINE).await?;
            let races = self.metrics.races.of(RaceOutcome::Unresolved);
            races.inc_by(ended.len() as u64);
            for Ended { user, record, why } in &ended {
                error!(
                    user.id = user,
                    record,
                    "another client wrote roles between our read and our write, and no attempt can determine what was lost: \
                     {why}. Compare the profile with the tenant's log, and correct it by hand if a role is missing"
                );
            }
            if ended.is_empty() {
                break;
            }
        }
        self.store.sweep_races(MAX_RECORD_WAIT).await
    }

    async fn forget(&self) -> Result<(), StoreError> {
        for (what, kept) in FORGOTTEN {
            let rows = self.store.forget(what, kept).await?;
            if rows > 0 && what != Retained::NameWrites {
                info!(rows, ?what, "sweep removed expired rows");
            }
        }
        self.store.forget_gone().await?;
        Ok(())
    }

    async fn verify(&self) -> Result<(), StoreError> {
        let most = verifications(
            self.store.holders(RoleChange::Granted).await?,
            self.every.div_duration_f64(self.verify_after),
            self.reads_per_s * self.every.as_secs_f64(),
        );
        let users = self
            .store
            .sweep_paid(&self.rules, self.verify_after, most)
            .await?;
        if users > 0 {
            info!(users, "sweep queued users for verification");
        }
        let oldest = self.store.oldest_verification(&self.rules).await?;
        let gauge = &self.metrics.reconcile.oldest_verification;
        gauge.set(oldest.unwrap_or_default().as_secs_f64());
        Ok(())
    }
}

/// Number of verifications that a sweep queues: as many as come due until the next sweep, `share` of all holders,
/// within the tenant's rate for that time.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a share of a count of rows, rounded, is a count of rows"
)]
fn verifications(holders: i64, share: f64, reads: f64) -> i64 {
    let due = holders as f64 * share * VERIFICATION_SLACK;
    (due.min(reads * VERIFICATION_SHARE).ceil() as i64).max(VERIFICATIONS)
}

#[cfg(test)]
mod tests {
    use super::verifications;

    #[test]
    fn verifications_follow_the_holders_as_far_as_the_rate_goes() {
        let minute_of_a_day = 1.0 / 1440.0;
        assert_eq!(verifications(1_000, minute_of_a_day, 960.0), 200);
        assert_eq!(verifications(500_000, minute_of_a_day, 960.0), 435);
        assert_eq!(verifications(3_000_000, minute_of_a_day, 960.0), 480);
        assert_eq!(verifications(0, minute_of_a_day, 960.0), 200);
    }
}
