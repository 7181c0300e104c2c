//! Table `work_queue`: leases that ended attempts give back before their time, and users who cannot be claimed now.
//!
//! Owns that a lease is given back by its own id only. Must never take a user from another attempt.

use std::time::Duration;

use uuid::Uuid;

use super::{Store, StoreError};

impl Store {
    /// Postpones a user whose claim failed; nothing counts as a failure.
    pub async fn postpone(&self, user: &str, wait: Duration) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!(
            "UPDATE work_queue SET due_at = now() + $2::double precision * interval '1 second'
             WHERE user_id = $1 AND (lease IS NULL OR lease_until < now()) AND parked_at IS NULL",
            user,
            wait.as_secs_f64()
        )
        .execute(&mut tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Gives back leases of attempts that have ended, each with the wait before the user's next attempt, which reads the
    /// profile. Returns the number of users that still had such a lease.
    pub async fn give_back(
        &self,
        leases: impl Iterator<Item = (&str, Uuid, Duration)>,
    ) -> Result<u64, StoreError> {
        let (mut users, mut ids, mut waits) = (vec![], vec![], vec![]);
        for (user, lease, wait) in leases {
            users.push(user);
            ids.push(lease);
            waits.push(wait.as_secs_f64());
        }
        let mut tx = self.begin().await?;
        let given = sqlx::query!(
            "WITH ours AS (
                 SELECT n.user_id, ended.wait_s FROM UNNEST($1::text[], $2::uuid[], $3::double precision[]) AS ended(user_id, lease, wait_s)
                 JOIN work_queue n ON n.user_id = ended.user_id AND n.lease = ended.lease ORDER BY n.user_id FOR UPDATE OF n
             )
             UPDATE work_queue n SET lease = NULL, lease_until = NULL, force_fetch = true,
                 due_at = greatest(now() + ours.wait_s * interval '1 second', n.debounce_until)
             FROM ours WHERE n.user_id = ours.user_id",
            &users as &[&str],
            &ids,
            &waits
        );
        let given = given.execute(&mut tx).await?.rows_affected();
        tx.commit().await?;
        Ok(given)
    }
}
