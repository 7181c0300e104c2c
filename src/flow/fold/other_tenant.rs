//! Records of another tenant in the fold of AUTH0_LOGS.
//!
//! Owns the count and the report of these records. Must never decide how a record is handled, nor count one before its
//! batch is committed.

use std::sync::{Mutex, PoisonError};

use tracing::{error, info};

use crate::metrics::TenantLogMetrics;
use rolekeeper_domain::tenant::{LastRecords, TenantName};

/// The last records that this worker's fold took.
#[derive(Debug, Default)]
pub struct OtherTenant(Mutex<LastRecords>);

impl OtherTenant {
    /// Reports once, at the start, if records are not checked.
    pub(super) fn begin(own: Option<&TenantName>) {
        if own.is_none() {
            info!(
                "neither AUTH0_DOMAIN (a domain under auth0.com) nor AUTH0_TENANT_NAME names this tenant: log records \
                 of another tenant cannot be recognised and are taken; set AUTH0_TENANT_NAME"
            );
        }
    }

    /// Takes the records of a committed batch: for each, whether it was dropped as another tenant's.
    pub(super) fn committed(&self, dropped: &[bool], metrics: &TenantLogMetrics) {
        if dropped.is_empty() {
            return;
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.mostly_others();
        for &other in dropped {
            last.push(other);
        }
        let count = dropped.iter().filter(|other| **other).count();
        metrics.other_tenant.inc_by(count as u64);
        let now = last.mostly_others();
        metrics.mostly_other_tenant.set(i64::from(now));
        if now && !before {
            error!(
                "more than half of the last 1,000 log records name another tenant and were dropped: check which tenant's log \
                 stream delivers here, and the values of AUTH0_DOMAIN and AUTH0_TENANT_NAME"
            );
        } else if before && !now {
            info!("most of the last 1,000 log records are of this tenant again");
        }
    }
}
