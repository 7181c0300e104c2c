//! The start of a leadership.
//!
//! Owns the checks before it, the moment in which the database is bound to a tenant, and the report of what waits for the
//! operator. Must never bind to a domain that has not granted a token.

use tracing::{info, warn};

use super::dispatcher::Dispatcher;
use crate::store::StoreError;
use rolekeeper_domain::brake::word;
use rolekeeper_domain::plan::RoleChange;

impl Dispatcher {
    /// Whether the rules of this leadership are the ones in force.
    pub(in crate::flow) async fn knows_the_rules_in_force(&self) -> Result<bool, StoreError> {
        let context = &self.context;
        context.store.rules_are_in_force(&context.fingerprint).await
    }

    /// Checks that the database belongs to this tenant. Returns whether it belongs to one already.
    pub(in crate::flow) async fn check_tenant(&self) -> Result<bool, StoreError> {
        let context = &self.context;
        context.store.check_tenant(&context.reader.tenant()).await
    }

    /// Binds the database to the tenant unless it is `bound`, and logs what waits for the operator.
    pub(in crate::flow) async fn begin_leadership(&self, bound: bool) -> Result<(), StoreError> {
        info!(writes = self.context.writes, "reconciling");
        self.context.passing.begin();
        self.health.begin();
        self.context.metrics.circuit_breaker_open.set(0);
        if !bound {
            self.bind().await?;
        }
        self.log_engaged_brakes().await?;
        self.log_engaged_gone_brake().await
    }

    /// Binds the database to the tenant once the tenant has granted a token. So a mistyped domain binds nothing.
    async fn bind(&self) -> Result<(), StoreError> {
        let context = &self.context;
        if let Err(why) = context.reader.authorize().await {
            info!("the database is not bound to a tenant yet: {why}");
            return Ok(());
        }
        let tenant = context.reader.tenant();
        context.store.bind_tenant(&tenant).await?;
        info!(tenant, "the database belongs to this Auth0 tenant from now on");
        Ok(())
    }

    /// Logs which users still wait for the operator.
    async fn log_engaged_brakes(&self) -> Result<(), StoreError> {
        for change in [RoleChange::Granted, RoleChange::Revoked] {
            let brake = self.context.store.brake(change, "", 0).await?;
            if let Some(since) = brake.engaged_at {
                let (what, held) = (word(change), brake.held);
                warn!(%since, %held, "the brake on {what} is engaged, {held} users are held. To inspect: rolekeeper brake");
            }
        }
        Ok(())
    }

    /// Logs that users who are gone wait for the operator.
    async fn log_engaged_gone_brake(&self) -> Result<(), StoreError> {
        let brake = self.context.store.gone_brake("", 0).await?;
        if let Some(since) = brake.engaged_at {
            let held = brake.held;
            warn!(%since, %held, "the brake on gone users is engaged, {held} users are held. To inspect: rolekeeper brake");
        }
        Ok(())
    }
}
