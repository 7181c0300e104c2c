//! What a worker does with Postgres before its stages start.
//!
//! Owns the waiting for Postgres, and what makes a start impossible. Must never let a stage start on a schema, a key or a
//! tenant that is not its own.

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::domain::rule::Rules;
use crate::flow::patience::Patience;
use crate::lifecycle::Readiness;
use crate::store::{InForce, Store, StoreError};

/// What a start puts into Postgres, or compares with what stands there.
pub(super) struct Start<'a> {
    pub(super) rules: &'a Rules,
    pub(super) writes: bool,
    /// The Auth0 tenant, where this worker has one.
    pub(super) tenant: Option<&'a str>,
}

/// Waits for Postgres, checks the schema and the tenant, and puts this worker's rules in force. Answers false when told to
/// stop before that.
pub(super) async fn prepare(
    store: &Store,
    start: &Start<'_>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<bool, StoreError> {
    let mut patience = Patience::new("Postgres");
    readiness.not_ready("start", "starting");
    while !stop.is_cancelled() {
        let prepared = async {
            store.check_sessions().await?;
            store.check_schema().await?;
            store.check_erasure_key().await?;
            if let Some(tenant) = start.tenant {
                store.check_tenant(tenant).await?;
            }
            store.put_rules_in_force(start.rules, start.writes).await
        };
        match prepared.await {
            Ok(in_force) => {
                patience.succeeded();
                if let InForce::TakenOver(users) = in_force {
                    info!(users, "new rules are in force; users they affect were nominated");
                }
                readiness.ready_for_good("start", "prepared");
                return Ok(true);
            }
            Err(
                error @ (StoreError::Settings(_)
                | StoreError::Schema(_)
                | StoreError::ErasureKey(_)
                | StoreError::Tenant(_)),
            ) => {
                return Err(error);
            }
            Err(why) => {
                readiness.not_ready("start", why.shown());
                patience.wait(&why, stop).await;
            }
        }
    }
    Ok(false)
}
