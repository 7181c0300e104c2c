//! The things that all parts of one worker share.
//!
//! Owns the list of them. Must never hold a thing that only one part uses.

use std::sync::Arc;

use crate::bus::Bus;
use crate::lifecycle::{Lifecycle, Readiness};
use crate::metrics::Metrics;
use crate::store::Store;

/// The connections, metrics and life of one worker.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) bus: Bus,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Readiness,
    pub(super) lifecycle: Lifecycle,
}
