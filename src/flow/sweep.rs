//! Finds anyone missed.
//!
//! Owns the timer: the free half finds what was left over (facts are compared with decisions by [`super::walk`]), the paid
//! half nominates holders whose verification has grown old. Must never call Auth0 or decide: it only nominates.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::domain::rule::Rules;
use crate::domain::schedule::PARKED_FOR;
use crate::store::{Store, StoreError};

/// Verifications in the queue at once; they come last and must not bury what is urgent.
const VERIFICATIONS: i64 = 200;

/// How long our own writes are kept: Auth0 pauses a log stream that has failed for seven days, and delivers what it
/// holds when it is resumed.
const OWN_WRITES_KEPT: Duration = Duration::from_hours(8 * 24);
/// How long writes of others are kept once their records were folded: longer than what we did about them.
const FOREIGN_WRITES_KEPT: Duration = Duration::from_hours(9 * 24);
/// How long the record is waited for that explains what a profile has become. Records come seconds late.
pub(super) const RACE_PATIENCE: Duration = Duration::from_mins(5);

/// The sweep; runs where this worker reconciles.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    pub(super) store: Store,
    pub(super) rules: Arc<Rules>,
    /// False in shadow mode: what was decided and not written is in order then.
    pub(super) writes: bool,
    /// How long a read profile counts as verified.
    pub(super) verify_after: Duration,
    /// How long a decided change may stay open before it is taken for left over: longer than any look.
    pub(super) left_over_after: Duration,
    /// Time between two sweeps.
    pub(super) every: Duration,
}

impl Sweep {
    /// Sweeps at once and then on a timer.
    pub(super) async fn run(&self) -> Result<(), StoreError> {
        let mut timer = tokio::time::interval(self.every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            let missed = self.store.sweep_free(self.left_over_after, PARKED_FOR).await?;
            if missed > 0 {
                warn!(
                    users = missed,
                    "sweep found users with changes that were left over"
                );
            }
            let wishes = self.store.sweep_display_names(self.writes, PARKED_FOR).await?;
            if wishes > 0 {
                info!(
                    users = wishes,
                    "sweep found wishes for a display name that waited"
                );
            }
            let stale = self
                .store
                .sweep_paid(&self.rules, self.verify_after, VERIFICATIONS)
                .await?;
            let unclear = self.store.follow_up_writes(self.left_over_after).await?;
            if unclear > 0 {
                info!(
                    users = unclear,
                    "sweep nominated users of whose last write nobody knows what became"
                );
            }
            self.store.sweep_races(RACE_PATIENCE, FOREIGN_WRITES_KEPT).await?;
            self.store.forget_writes(OWN_WRITES_KEPT).await?;
            self.store.forget_gone().await?;
            if stale > 0 {
                info!(users = stale, "sweep nominated users for verification");
            }
        }
    }
}
