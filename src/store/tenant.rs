//! Table `tenant`: the Auth0 tenant that this database belongs to.
//!
//! Owns the binding. Must never rebind a database without an operator, nor then leave a holder of the old tenant
//! adopted.

use super::{Lock, Store, StoreError, acts, former_tenant};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plural::noun;

/// Rows changed in one transaction of a move.
const BATCH: i64 = 5_000;

/// Result of a move to another tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantMove {
    /// The database belongs to it; the number of assignments, which are unadopted and unverified.
    Done(u64),
    /// Nothing was moved: a worker reconciles.
    Reconciling,
    /// Nothing was moved: `rolekeeper discover` runs.
    Discovering,
}

impl Store {
    /// The tenant's canonical domain; `None` until the first one is known.
    pub async fn tenant(&self) -> Result<Option<String>, StoreError> {
        let domain = sqlx::query_scalar!("SELECT domain FROM tenant");
        Ok(domain.fetch_optional(&self.pool).await?)
    }

    /// Refuses a tenant other than the one that the database belongs to. Returns whether it belongs to one.
    pub async fn check_tenant(&self, domain: &str) -> Result<bool, StoreError> {
        match self.tenant().await? {
            None => Ok(false),
            Some(bound) if bound == domain => Ok(true),
            Some(bound) => Err(StoreError::Tenant(format!(
                "the database belongs to the Auth0 tenant {bound}, and this worker is set up for {domain}: check AUTH0_DOMAIN, \
                 AUTH0_AUDIENCE and DATABASE_URL; to give the database to {domain}, stop all workers and run \
                 `rolekeeper tenant move --to {domain} --yes`"
            ))),
        }
    }

    /// Binds the database to a tenant, unless it belongs to one.
    pub async fn bind_tenant(&self, domain: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO tenant (domain) VALUES ($1) ON CONFLICT DO NOTHING",
            domain
        )
        .execute(&self.pool)
        .await?;
        crash_point!("bound");
        self.check_tenant(domain).await?;
        Ok(())
    }

    /// Moves the database to another tenant: all holders become unadopted and unverified, open changes are closed, and all that
    /// only the former tenant said is removed.
    pub async fn move_tenant(&self, domain: &str, act: &Act) -> Result<TenantMove, StoreError> {
        let Some(mut held) = self.try_lock(Lock::Reconcile).await? else {
            return Ok(TenantMove::Reconciling);
        };
        // A search of the former tenant would store its holders after the move.
        let Some(mut search) = self.try_lock(Lock::Discover).await? else {
            return Ok(TenantMove::Discovering);
        };
        self.acted(act, "begun").await?;
        let (mut assignments, mut after) = (0, (String::new(), String::new()));
        loop {
            held.check().await?;
            let changed = sqlx::query!(
                "WITH batch AS (
                     SELECT user_id, role FROM assignments WHERE (user_id, role) > ($1, $2) ORDER BY user_id, role LIMIT $3
                 ), changed AS (
                     UPDATE assignments a SET adopted = false, verified_at = NULL
                     FROM batch WHERE a.user_id = batch.user_id AND a.role = batch.role
                 )
                 SELECT user_id, role FROM batch ORDER BY user_id, role",
                after.0,
                after.1,
                BATCH
            );
            let changed = changed.fetch_all(&self.pool).await?;
            crash_point!("holders_unadopted");
            assignments += changed.len() as u64;
            match changed.into_iter().last() {
                Some(last) => after = (last.user_id, last.role),
                None => break,
            }
        }
        self.forget_writes(&mut held).await?;
        self.forget_former(&mut held, &act.by).await?;
        search.check().await?;
        let mut tx = self.begin().await?;
        former_tenant::forget_progress(&mut tx).await?;
        sqlx::query!(
            "INSERT INTO tenant (domain) VALUES ($1)
             ON CONFLICT (only_row) DO UPDATE SET domain = excluded.domain, bound_at = now()",
            domain
        )
        .execute(&mut tx)
        .await?;
        acts::keep(
            &mut tx,
            act,
            &format!(
                "moved: {assignments} {} unadopted and unverified",
                noun(assignments, "assignment is", "assignments are")
            ),
        )
        .await?;
        super::walk::want(&mut tx, None).await?;
        tx.commit().await?;
        crash_point!("moved");
        Ok(TenantMove::Done(assignments))
    }
}
