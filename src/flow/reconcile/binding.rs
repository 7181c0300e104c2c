//! Binds the database to a tenant.
//!
//! Owns the moment of binding. Must never bind to a domain that has not granted a token.

use tracing::info;

use super::Reconcile;
use crate::store::StoreError;

impl Reconcile {
    /// Binds the database to the tenant once the tenant has granted a token. So a mistyped domain binds nothing.
    pub(super) async fn bind(&self) -> Result<(), StoreError> {
        if let Err(why) = self.reader.authorize().await {
            info!("the database is not bound to a tenant yet: {why}");
            return Ok(());
        }
        let tenant = self.reader.tenant();
        self.store.bind_tenant(&tenant).await?;
        info!(tenant, "the database belongs to this Auth0 tenant from now on");
        Ok(())
    }
}
