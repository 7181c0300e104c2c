//! Prepares Postgres access before a worker's stages start.
//!
//! Owns waiting for Postgres, and the conditions that make a start impossible. Must never let a stage start on a
//! schema, a key or a tenant that is not its own, nor without rules in force.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::flow::retry_loop::RetryLoop;
use crate::flow::rules::{RulesError, RulesKeeper};
use crate::lifecycle::Readiness;
use crate::store::{Store, StoreError};

/// Waits for Postgres, checks the schema and the Auth0 tenant, where this worker has one, and reads the rules in force,
/// where the worker needs them. Returns false when the stop is requested before that.
pub(super) async fn prepare(
    store: &Store,
    mut keeper: Option<&mut RulesKeeper>,
    tenant: Option<&str>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Result<bool, StoreError> {
    let mut retry = RetryLoop::new("the start");
    readiness.not_ready("start", "starting");
    while !stop.is_cancelled() {
        let prepared = async {
            store.check_sessions().await?;
            store.check_schema().await?;
            store.check_erasure_key().await?;
            if let Some(tenant) = tenant {
                store.check_tenant(tenant).await?;
            }
            match &mut keeper {
                Some(keeper) => keeper.first().await,
                None => Ok(()),
            }
        };
        let Some(prepared) = stop.run_until_cancelled(prepared).await else {
            break;
        };
        match prepared {
            Ok(()) => {
                retry.succeeded();
                return Ok(true);
            }
            Err(RulesError::Store(
                error @ (StoreError::Settings(_)
                | StoreError::Schema(_)
                | StoreError::ErasureKey(_)
                | StoreError::Tenant(_)),
            )) => {
                return Err(error);
            }
            Err(why) => {
                readiness.not_ready("start", why.shown());
                retry.wait(&why, stop).await;
            }
        }
    }
    Ok(false)
}

/// Interval at which the worker checks that the database still belongs to its tenant.
const CHECK_TENANT_EVERY: Duration = Duration::from_secs(10);

/// Ends the worker when the database is bound to another tenant than its own.
pub(super) async fn stay_bound(
    store: Store,
    tenant: String,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    while stop
        .run_until_cancelled(tokio::time::sleep(CHECK_TENANT_EVERY))
        .await
        .is_some()
    {
        match store.check_tenant(&tenant).await {
            Err(why @ StoreError::Tenant(_)) => return Err(why),
            Err(why) => debug!("the tenant of the database cannot be read: {why}"),
            Ok(_) => {}
        }
    }
    Ok(())
}
