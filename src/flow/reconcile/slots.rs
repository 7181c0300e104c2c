//! The places of attempts in flight.
//!
//! Owns how many are taken, and the measurements from which the bound follows. Must never let an attempt start without a
//! place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use rolekeeper_domain::in_flight::InFlight;
use rolekeeper_domain::pacer::RatePlan;

/// All places.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    freed: Notify,
    started: Instant,
}

#[derive(Debug)]
struct State {
    bound: InFlight,
    taken: u32,
}

/// The place of one attempt; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Slots>);

impl Slots {
    pub(super) fn new(plan: RatePlan) -> Self {
        Self {
            state: Mutex::new(State {
                bound: InFlight::new(plan.attempts_per_second()),
                taken: 0,
            }),
            freed: Notify::new(),
            started: Instant::now(),
        }
    }

    /// Most attempts that can ever be in flight.
    pub(super) fn most(&self) -> u32 {
        self.state().bound.most()
    }

    /// A place, if one is free.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.state();
        let free = state.taken < state.bound.allowed();
        state.taken += u32::from(free);
        free.then(|| Slot(Arc::clone(self)))
    }

    /// Waits for a free place. Safe to cancel; one caller at a time.
    pub(super) async fn acquire(self: &Arc<Self>) -> Slot {
        loop {
            if let Some(slot) = self.try_acquire() {
                return slot;
            }
            self.freed.notified().await;
        }
    }

    /// Learns the time of a call.
    pub(super) fn answered(&self, took: Duration) {
        self.state().bound.answered(took);
        self.freed.notify_one();
    }

    /// An attempt ended in time.
    pub(super) fn in_time(&self) {
        self.state().bound.in_time();
    }

    /// A profile became too old before it could be written.
    pub(super) fn too_late(&self) {
        self.state().bound.too_late(self.started.elapsed());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.taken = state.taken.saturating_sub(1);
        drop(state);
        self.0.freed.notify_one();
    }
}
