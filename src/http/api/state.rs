//! The state of the data API's handlers.
//!
//! Owns which parts a handler may use.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::quota::Quotas;
use crate::auth0::Bearer;
use crate::flow::publish::Publish;
use crate::metrics::Metrics;
use crate::store::Store;

/// State of every handler. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) bearer: Bearer,
    pub(super) store: Store,
    pub(super) publish: Publish,
    pub(super) metrics: Arc<Metrics>,
    pub(super) genres: Arc<[String]>,
    pub(super) scopes: bool,
    pub(super) quotas: Arc<Quotas>,
    pub(super) publishes_per_day: u32,
    pub(super) prepared: Arc<AtomicBool>,
    /// The served text of the description.
    pub(super) description: Arc<str>,
}
