//! Tables `counters` and `counter_changes`: numbers of rows, without counting them.
//!
//! Owns the sums. Must never update a row that a stage's transaction needs: triggers insert changes, and one worker
//! adds them up.

use super::{Store, StoreError};

/// Changes added up in one transaction.
const AT_ONCE: i64 = 10_000;

impl Store {
    /// Adds up changes of counters, as far as one transaction goes. Returns their number.
    pub async fn sum_counters(&self) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let summed = sqlx::query!(
            r#"WITH taken AS (
                   DELETE FROM counter_changes
                   WHERE change_id IN (SELECT change_id FROM counter_changes ORDER BY change_id LIMIT $1)
                   RETURNING counter, change
               ), summed AS (
                   INSERT INTO counters AS c (counter, value) SELECT counter, sum(change) FROM taken GROUP BY counter
                   ON CONFLICT (counter) DO UPDATE SET value = c.value + excluded.value
               )
               SELECT count(*) AS "summed!",
                   -- a crash that loses the sum leaves the changes
                   set_config('synchronous_commit', 'off', true) AS commit
               FROM taken"#,
            AT_ONCE
        );
        let summed = summed.fetch_one(&mut tx).await?.summed;
        tx.commit().await?;
        Ok(summed)
    }

    /// Number of users who hold a role.
    pub async fn holders(&self) -> Result<i64, StoreError> {
        let holders = sqlx::query_scalar!(
            r#"SELECT (coalesce((SELECT value FROM counters WHERE counter = 'users_with_role'), 0)
                   + coalesce((SELECT sum(change) FROM counter_changes WHERE counter = 'users_with_role'), 0))::bigint AS "holders!""#
        );
        let mut tx = self.begin().await?;
        Ok(holders.fetch_one(&mut tx).await?)
    }
}
