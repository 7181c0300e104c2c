//! The stop of all writes, by the operator or because another program writes under our client id.
//!
//! Owns waiting for the end of the pause and reporting it. Must never touch attempts in flight: they complete. The
//! claim itself returns no user while the pause stands, so no attempt starts even when this notices the pause late.

use tracing::{info, warn};

use super::dispatcher::{Dispatcher, POLL_INTERVAL};
use crate::store::StoreError;

/// Readiness message while another program writes.
const UNKNOWN_WRITE: &str = "writes are stopped: another program writes under our client id; to continue: rolekeeper resume --why TEXT";

impl Dispatcher {
    /// Waits until the operator resumes; returns false at once when no pause stands. Safe to cancel.
    pub(super) async fn paused_by_operator(&self) -> Result<bool, StoreError> {
        let Some(paused) = self.context.store.paused().await? else {
            return Ok(false);
        };
        let reason = paused.reason.as_deref().unwrap_or("no reason given");
        warn!(
            since = %paused.since,
            "paused by the operator: {reason}. Counting continues, nothing is written. To continue: rolekeeper resume"
        );
        while let Some(paused) = self.context.store.paused().await? {
            if paused.unknown_write {
                self.health.report_not_ready(UNKNOWN_WRITE);
            } else {
                self.health.report_ready("paused by the operator");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
        info!("resumed by the operator");
        self.health.report_ready("active");
        Ok(true)
    }
}
