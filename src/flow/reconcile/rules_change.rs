//! The reconciler from one leadership to the next.
//!
//! Owns the changes between them: rules and limits. Must never change either during a leadership.

use std::sync::Arc;

use super::Reconcile;

impl Reconcile {
    /// The same reconciler under the current rules and limits.
    pub(super) fn under_new_rules(&mut self) -> Arc<Self> {
        let rules = Arc::clone(&self.changed.borrow_and_update());
        let limits = self.limits.take_over();
        self.fingerprint = rules.fingerprint();
        self.sweep.rules = Arc::clone(&rules);
        self.walk.rules = Arc::clone(&rules);
        self.writes = limits.writes();
        self.sweep.writes = self.writes;
        self.walk.writes = self.writes;
        self.brake = limits.brake();
        self.rate_limiter.set_reserve(limits.reserve());
        self.sweep.reads_per_s = self.plan_reads_per_s * (1.0 - limits.reserve());
        self.metrics.writes_enabled.set(i64::from(self.writes));
        self.rules = rules;
        Arc::new(self.clone())
    }
}
