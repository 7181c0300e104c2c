//! Keeps the worker under the limits in force, and knows how old they are.
//!
//! Owns reading the limits. Must never depend on the rules, on their file or on a notification: `writes off` takes
//! effect even when other parts hang.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::lifecycle::Readiness;
use crate::store::{Store, StoreError};
use rolekeeper_domain::limits::{Limits, Own};

const STAGE: &str = "limits";
/// Interval at which the limits are read without a notification.
const READ_EVERY: Duration = Duration::from_secs(2);
/// No attempt starts under older limits.
const FRESH_FOR: Duration = Duration::from_secs(30);

/// Keeps one worker under the limits in force.
#[derive(Clone, Debug)]
pub struct LimitsKeeper {
    store: Store,
    own: Own,
    readiness: Readiness,
    limits: watch::Sender<Limits>,
    read_at: watch::Sender<Instant>,
}

/// The limits in force, tightened by this worker's own, and the time of the last read.
#[derive(Clone, Debug)]
pub struct LimitsInForce {
    limits: watch::Receiver<Limits>,
    read_at: watch::Receiver<Instant>,
}

impl LimitsKeeper {
    /// Creates the keeper for a worker with its own limits; nothing is read yet.
    #[must_use]
    pub fn new(store: Store, own: Own, readiness: Readiness) -> Self {
        Self {
            store,
            own,
            readiness,
            limits: watch::Sender::new(Limits::default()),
            read_at: watch::Sender::new(Instant::now()),
        }
    }

    /// The limits in force, now and later.
    #[must_use]
    pub fn subscribe(&self) -> LimitsInForce {
        LimitsInForce {
            limits: self.limits.subscribe(),
            read_at: self.read_at.subscribe(),
        }
    }

    /// Reads the limits once.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn read(&self) -> Result<(), StoreError> {
        // The limits in the response may be as old as the query.
        let asked = Instant::now();
        let limits = self.store.limits().await?.tightened(&self.own);
        self.limits
            .send_if_modified(|now| std::mem::replace(now, limits) != limits);
        self.read_at.send_replace(asked);
        self.readiness.ready(STAGE, "read");
        Ok(())
    }

    /// Reads the limits on notifications and on a timer, until dropped.
    pub(super) async fn run(&self, hint: &Notify) -> std::convert::Infallible {
        let mut failed = false;
        loop {
            match self.read().await {
                Ok(()) => failed = false,
                Err(why) => {
                    self.readiness.not_ready(STAGE, why.shown());
                    if failed {
                        debug!("the limits in force cannot be read: {why}");
                    } else {
                        warn!("the limits in force cannot be read: {why}");
                    }
                    failed = true;
                }
            }
            let _ = tokio::time::timeout(READ_EVERY, hint.notified()).await;
        }
    }
}

impl LimitsInForce {
    /// The current limits.
    pub(super) fn now(&self) -> Limits {
        *self.limits.borrow()
    }

    /// The current limits; [`Self::changed`] reports later ones.
    pub(super) fn take_over(&mut self) -> Limits {
        *self.limits.borrow_and_update()
    }

    /// Waits until the limits differ from those that were taken over. Safe to cancel.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.limits.changed().await
    }

    /// Waits until the limits were read within the last 30 s; returns none where they are no longer read. Safe to
    /// cancel.
    pub(super) async fn fresh(&self) -> Option<()> {
        let mut read_at = self.read_at.clone();
        let fresh = |at: &Instant| at.elapsed() < FRESH_FOR;
        if !fresh(&read_at.borrow()) {
            warn!(
                "the limits in force were not read for {} s; reconcile waits until they are",
                FRESH_FOR.as_secs()
            );
        }
        read_at.wait_for(fresh).await.ok().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_under_limits_that_were_not_read_for_30_s() {
        let read_at = watch::Sender::new(Instant::now());
        let in_force = LimitsInForce {
            limits: watch::Sender::new(Limits::default()).subscribe(),
            read_at: read_at.subscribe(),
        };
        let is_fresh = || in_force.fresh().now_or_never();
        assert_eq!(is_fresh(), Some(Some(())));
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(is_fresh(), None);
        read_at.send_replace(Instant::now());
        assert_eq!(is_fresh(), Some(Some(())));
    }
}
