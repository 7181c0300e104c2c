//! Memory for the bodies of deliveries.
//!
//! Owns how many bytes of them are in memory at once, whatever the number of connections. Must never let a delivery of
//! ordinary size wait for large ones, nor let a delivery wait longer than its sender waits for a response.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// Bytes of one permit.
const UNIT: usize = 4 << 10;
/// Size above which a delivery is large; 100 of the largest known records are half of it.
const LARGE: usize = 1 << 20;
/// Most bytes of large deliveries at once.
const LARGE_BYTES: usize = 128 << 20;
/// Most bytes of ordinary deliveries at once.
const ORDINARY_BYTES: usize = 32 << 20;
/// How long a delivery may wait for memory. Together with the times for its body and for storing it, the response is sent
/// within a minute.
const WAIT: Duration = Duration::from_secs(20);

/// The memory for bodies. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room {
    ordinary: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// Reports how many deliveries wait.
    metrics: Arc<Metrics>,
}

/// The memory of one delivery, reserved until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved(OwnedSemaphorePermit);

impl Room {
    /// Returns the memory with all of it free.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            ordinary: Arc::new(Semaphore::new(ORDINARY_BYTES / UNIT)),
            large: Arc::new(Semaphore::new(LARGE_BYTES / UNIT)),
            metrics,
        }
    }

    /// Reserves memory for a body of at most `bytes`; returns none when it is not free in time.
    pub(super) async fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let of = if bytes > LARGE {
            &self.large
        } else {
            &self.ordinary
        };
        let wanted = units(bytes);
        if let Ok(permit) = Arc::clone(of).try_acquire_many_owned(wanted) {
            return Some(Reserved(permit));
        }
        self.metrics.webhook_waiting.inc();
        let permit = tokio::time::timeout(WAIT, Arc::clone(of).acquire_many_owned(wanted)).await;
        self.metrics.webhook_waiting.dec();
        Some(Reserved(permit.ok()?.ok()?))
    }
}

impl Reserved {
    /// Releases the memory beyond `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let needed = usize::try_from(units(bytes)).unwrap_or(usize::MAX);
        let surplus = self.0.num_permits().saturating_sub(needed);
        drop(self.0.split(surplus));
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room::new(Arc::new(Metrics::new(&[])))
    }

    #[tokio::test(start_paused = true)]
    async fn large_deliveries_wait_for_each_other_and_not_for_ever() {
        let (room, large) = (room(), 16 << 20);
        let mut held = vec![];
        for _ in 0..8 {
            held.push(room.reserve(large).await.expect("there is room"));
        }
        assert!(
            room.reserve(large).await.is_none(),
            "the ninth delivery is refused"
        );
        assert!(
            room.reserve(LARGE).await.is_some(),
            "an ordinary delivery does not wait"
        );
        let ninth = room.reserve(large);
        let freed = async {
            tokio::time::sleep(WAIT / 2).await;
            for reserved in &mut held {
                reserved.shrink_to(large / 2);
            }
        };
        assert!(
            tokio::join!(ninth, freed).0.is_some(),
            "released memory serves another delivery"
        );
        assert_eq!(room.metrics.webhook_waiting.get(), 0);
    }
}
