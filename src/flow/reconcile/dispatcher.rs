//! The consumption of the work queue: what its waits, its claims and the ends of its attempts share.
//!
//! Owns the limits under which an attempt may start, and the signal that a user is due.
//! Must never hold the state of one attempt.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::context::Context;
use super::health::Health;
use super::slots::Slots;
use super::unreturned::Unreturned;
use crate::auth0::{Reader, Writer};
use crate::config::RestoreConfig;
use crate::flow::limits::LimitsInForce;
use crate::flow::permit::RateLimiter;
use crate::lifecycle::Readiness;
use crate::metrics::Metrics;
use crate::store::Store;
use rolekeeper_domain::display_name::DisplayName;
use rolekeeper_domain::limits::Limits;
use rolekeeper_domain::pacer::RatePlan;
use rolekeeper_domain::rule::Rules;

/// Interval at which the queue is polled without a notification.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Decisions and results of single attempts at once; each has a connection of the stages' pool.
const SINGLE: usize = 4;

/// Consumes the queue under the rules and limits of one leadership.
#[derive(Clone)]
pub(in crate::flow) struct Dispatcher {
    pub(super) context: Arc<Context>,
    pub(super) limits: LimitsInForce,
    pub(super) rate_limiter: Arc<RateLimiter>,
    pub(super) health: Arc<Health>,
    /// Signals that a user is due.
    pub(super) wake: Arc<Notify>,
    pub(super) unreturned: Arc<Unreturned>,
}

/// The dependencies of the stage.
pub(in crate::flow) struct Deps {
    pub(in crate::flow) store: Store,
    pub(in crate::flow) reader: Reader,
    pub(in crate::flow) writer: Writer,
    pub(in crate::flow) metrics: Arc<Metrics>,
    pub(in crate::flow) readiness: Readiness,
    pub(in crate::flow) rules: Arc<Rules>,
    pub(in crate::flow) limits: LimitsInForce,
    pub(in crate::flow) restores: RestoreConfig,
    pub(in crate::flow) rate_limiter: Arc<RateLimiter>,
    pub(in crate::flow) plan: RatePlan,
    pub(in crate::flow) default_name: Option<DisplayName>,
    pub(in crate::flow) verify_after: Duration,
    pub(in crate::flow) request_timeout: Duration,
}

impl Dispatcher {
    /// Builds the dispatcher; nothing runs yet.
    pub(in crate::flow) fn new(deps: Deps) -> Self {
        let held = deps.limits.now();
        let context = Context {
            store: deps.store,
            reader: deps.reader,
            writer: deps.writer,
            metrics: deps.metrics,
            fingerprint: deps.rules.fingerprint(),
            rules: deps.rules,
            writes: held.writes(),
            default_name: deps.default_name,
            verify_after: deps.verify_after,
            brake: held.brake(),
            restores: deps.restores,
            request_timeout: deps.request_timeout,
            passing: Arc::default(),
            slots: Arc::new(Slots::new(deps.plan)),
            decisions: Arc::default(),
            results: Arc::default(),
            single: Arc::new(Semaphore::new(SINGLE)),
            locks: Arc::default(),
        };
        Self {
            context: Arc::new(context),
            limits: deps.limits,
            rate_limiter: deps.rate_limiter,
            health: Arc::new(Health::new(deps.readiness)),
            wake: Arc::default(),
            unreturned: Arc::default(),
        }
    }

    /// The same dispatcher under these rules and limits. `in_force` shows when the limits were read last.
    pub(in crate::flow) fn under(
        &self,
        rules: Arc<Rules>,
        limits: &Limits,
        in_force: LimitsInForce,
    ) -> Arc<Self> {
        let context = Context {
            fingerprint: rules.fingerprint(),
            rules,
            writes: limits.writes(),
            brake: limits.brake(),
            ..Context::clone(&self.context)
        };
        Arc::new(Self {
            context: Arc::new(context),
            limits: in_force,
            ..self.clone()
        })
    }
}
