//! Table `assignments`: decisions and seen state of each managed role.
//!
//! Owns adoption: from which holders a role may be revoked. Must never adopt a holder by itself.

use super::{Channel, Store, StoreError, Tx, acts, identities};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::evaluation::{Role, Seen};
use rolekeeper_domain::ids::UserId;

/// Users adopted in one transaction.
const ADOPTED_AT_ONCE: usize = 2_000;

/// Stores the result of an attempt, with the current time as its verification.
pub async fn seen(tx: &mut Tx<'_>, user: &str, seen: Seen<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted, below_since, suppressed, verified_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now())
         ON CONFLICT (user_id, role) DO UPDATE SET
             wanted = excluded.wanted, has_role = excluded.has_role, adopted = excluded.adopted,
             below_since = excluded.below_since, suppressed = excluded.suppressed, verified_at = excluded.verified_at,
             since = CASE WHEN a.has_role = excluded.has_role THEN a.since ELSE now() END",
        user,
        seen.role,
        seen.wanted,
        seen.has_role,
        seen.adopted,
        seen.below_since,
        seen.suppressed
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores a decision made without reading the profile.
pub async fn decided(tx: &mut Tx<'_>, user: &str, role: &Role<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE assignments SET wanted = $3, below_since = $4, suppressed = $5 AND NOT has_role
         WHERE user_id = $1 AND role = $2",
        user,
        role.rule.role,
        role.decision.wanted,
        role.decision.below_since,
        role.suppressed
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores a decision made without reading the profile and not done yet; also for an unknown role.
pub async fn awaited(tx: &mut Tx<'_>, user: &str, role: &Role<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted, below_since) VALUES ($1, $2, $3, false, false, $4)
         ON CONFLICT (user_id, role) DO UPDATE SET wanted = excluded.wanted, below_since = excluded.below_since,
             suppressed = a.suppressed AND $5",
        user,
        role.rule.role,
        role.decision.wanted,
        role.decision.below_since,
        role.suppressed
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Requests the verification of every holder: one mark, whatever their number. The sweep handles it when due, however
/// often it is set meanwhile.
pub async fn reverify(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO reverify (reported_at) VALUES (now()) ON CONFLICT (only_row) DO UPDATE SET reported_at = excluded.reported_at"
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// The managed roles that the user's profile had when last read or written.
    pub async fn roles_held(&self, user: &UserId<'_>) -> Result<Vec<String>, StoreError> {
        let roles = sqlx::query_scalar!(
            "SELECT role FROM assignments WHERE user_id = $1 AND has_role
                 AND NOT EXISTS (SELECT FROM gone_users g WHERE g.user_id = $1) ORDER BY role",
            user.as_str()
        );
        Ok(roles.fetch_all(&self.pool).await?)
    }

    /// Adopts holders of a role: rolekeeper may revoke it from now on. Applies to all known unadopted holders if
    /// `users` is `None`, otherwise to these users, known or not. Enqueues them. Works in batches, each in its own
    /// transaction. Returns the number of users.
    pub async fn adopt(&self, role: &str, users: Option<&[String]>, act: &Act) -> Result<u64, StoreError> {
        let mut adopted = 0;
        if let Some(users) = users {
            for batch in users.chunks(ADOPTED_AT_ONCE) {
                adopted += self.adopt_batch(role, batch, act).await?;
            }
            return Ok(adopted);
        }
        let mut after = String::new();
        loop {
            let batch = sqlx::query_scalar!(
                "SELECT user_id FROM assignments WHERE role = $1 AND has_role AND NOT adopted AND user_id > $2
                 ORDER BY user_id LIMIT $3",
                role,
                after,
                i64::try_from(ADOPTED_AT_ONCE).unwrap_or(i64::MAX)
            );
            let batch = batch.fetch_all(&self.pool).await?;
            let Some(last) = batch.last() else {
                return Ok(adopted);
            };
            after.clone_from(last);
            adopted += self.adopt_batch(role, &batch, act).await?;
        }
    }

    async fn adopt_batch(&self, role: &str, users: &[String], act: &Act) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // No link is stored until the transaction ends.
        identities::serialize(&mut tx).await?;
        // A linked id is no user: its primary has the role.
        let named: Vec<&str> = users.iter().map(String::as_str).collect();
        let users = identities::persons(&mut tx, &named).await?;
        let unadopted = sqlx::query_scalar!(
            r#"SELECT named.user_id AS "user_id!" FROM UNNEST($2::text[]) AS named(user_id)
               LEFT JOIN assignments a ON a.user_id = named.user_id AND a.role = $1
               WHERE a.adopted IS NOT TRUE"#,
            role,
            &users
        )
        .fetch_all(&mut tx)
        .await?;
        let mut entries: Vec<_> = unadopted
            .iter()
            .map(|user| super::Enqueue::to_read(user, super::Priority::Revoke))
            .collect();
        // Locks the queue first, in the same order as reconcile.
        super::work_queue::enqueue(&mut tx, &mut entries).await?;
        let adopted = sqlx::query!(
            "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted)
             SELECT user_id, $1, false, false, true FROM UNNEST($2::text[]) AS named(user_id) ORDER BY 1
             ON CONFLICT (user_id, role) DO UPDATE SET adopted = true WHERE NOT a.adopted",
            role,
            &unadopted
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        acts::keep(&mut tx, act, &format!("{adopted} taken over")).await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("adopted");
        Ok(adopted)
    }
}
