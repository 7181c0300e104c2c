//! Ends the leadership of a worker that lost NATS: another worker may reach it.
//!
//! Owns how long a leader waits for NATS. Must never end a leadership of a worker that is connected: without NATS the roles are
//! still reconciled, and only announcements and the gap filler wait.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::bus::Bus;

/// How long a leader waits for NATS at first. Twice as long after each leadership that ended for it, since no worker may
/// reach NATS.
const FIRST_WITHIN: Duration = Duration::from_secs(20);
const LONGEST_WITHIN: Duration = Duration::from_mins(10);
/// Interval at which the connection is checked.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long such a worker leaves the leadership to others: they try to take it twice a second.
pub(super) const LEFT_FOR: Duration = Duration::from_secs(3);

/// The wait of one worker.
pub(super) struct HandOver {
    bus: Bus,
    within: Duration,
}

impl HandOver {
    pub(super) fn new(bus: Bus) -> Self {
        let within = FIRST_WITHIN;
        Self { bus, within }
    }

    /// Returns when the worker was not connected for too long.
    pub(super) async fn is_due(&mut self) {
        let mut connected_at = Instant::now();
        while connected_at.elapsed() < self.within {
            if self.bus.is_connected() {
                (connected_at, self.within) = (Instant::now(), FIRST_WITHIN);
            }
            sleep(CHECK_EVERY).await;
        }
        warn!(
            "no connection to NATS for {} s: another worker can become the leader now",
            self.within.as_secs()
        );
        self.within = LONGEST_WITHIN.min(2 * self.within);
    }
}
