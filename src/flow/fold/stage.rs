//! The fold of one stream, as it is configured.
//!
//! Owns its dependencies and settings, which stay the same from one leadership to the next. Must never hold the state of
//! a leadership.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::other_tenant::OtherTenant;
use super::source::Source;
use crate::bus::Bus;
use crate::config::TrimConfig;
use crate::lifecycle::Readiness;
use crate::metrics::Metrics;
use crate::store::Store;
use rolekeeper_domain::dedup_window::DedupWindow;
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::tenant::TenantName;

/// The fold of one stream.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The stream to fold.
    pub source: Source,
    /// Where facts are stored.
    pub store: Store,
    /// Connection for queries about the stream.
    pub bus: Bus,
    /// Connection for deliveries, of this fold alone since a message may end it.
    pub deliveries: Bus,
    /// Id of this process, to count the processes that ended while they folded one message.
    pub process: Uuid,
    /// Held by the fold of this process that searches for the message which ends processes: one at a time.
    pub search: Arc<Mutex<()>>,
    /// Metrics of this worker.
    pub metrics: Arc<Metrics>,
    /// Readiness of the stage.
    pub readiness: Readiness,
    /// The rules this worker knows; they may change while it runs.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Most messages in one transaction.
    pub batch: usize,
    /// How long ids of app events are remembered, if at all.
    pub dedup_window: Option<DedupWindow>,
    /// How long folded messages stay in the stream.
    pub trim: TrimConfig,
    /// Our own client id at Auth0, where it is known.
    pub own_client_id: Option<String>,
    /// The tenant's name in its records, where it is known.
    pub tenant: Option<TenantName>,
    /// Counts records of other tenants.
    pub other_tenant: Arc<OtherTenant>,
}
