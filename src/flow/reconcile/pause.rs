//! The writing is stopped, by an operator or because another program writes under our client id.
//!
//! Owns waiting it out and saying so. Must never touch what is in hand: that comes to its end. The claim itself
//! answers nobody while the pause stands, so nothing is begun however late this notices.

use tracing::{info, warn};

use super::{LOOK_ANYWAY, Reconcile, STAGE};
use crate::store::StoreError;

/// Why the stage is not ready when another program writes.
const UNKNOWN_WRITE: &str =
    "writes are stopped: another program writes under our client id; to continue: rolekeeper resume --why TEXT";

impl Reconcile {
    /// Waits until a person resumes; answers false at once when nobody has paused. Safe to cancel.
    pub(super) async fn paused_by_person(&self) -> Result<bool, StoreError> {
        let Some(paused) = self.store.paused().await? else {
            return Ok(false);
        };
        let reason = paused.reason.as_deref().unwrap_or("no reason given");
        warn!(
            since = %paused.since,
            "paused by the operator: {reason}. Counting goes on, nothing is written. To go on: rolekeeper resume"
        );
        while let Some(paused) = self.store.paused().await? {
            if paused.unknown_write {
                self.readiness.not_ready(STAGE, UNKNOWN_WRITE);
            } else {
                self.stand("paused by the operator");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK_ANYWAY) => {}
            }
        }
        info!("resumed by the operator");
        self.stand("active");
        Ok(true)
    }

    /// Ready either way, unless credentials are in doubt or Postgres is too slow to write.
    pub(super) fn stand(&self, how: &'static str) {
        if self.breaker().until().is_none() && !self.is_too_slow() {
            self.readiness.ready(STAGE, how);
        }
    }
}
