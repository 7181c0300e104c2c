//! The limit of messages in flight that all deliveries share.
//!
//! Owns its size. Must never delay the first message of a delivery.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Most messages of all deliveries in flight at once, without the first of each delivery: each delivery may always have one
/// in flight. With the listener's limit of connections, the sum stays below the client's permits.
const BULK: usize = 2_000;

/// The limit that all deliveries share: messages in flight beyond one of each delivery. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Bulk(pub(super) Arc<Semaphore>);

impl Default for Bulk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BULK)))
    }
}
