//! Tables `counters` and `counter_changes`: numbers of rows, without counting them.
//!
//! Owns the sums. Must never update a row that a stage's transaction needs: triggers insert changes, and one worker
//! adds them up.

use super::{Store, StoreError, Tx};
use rolekeeper_domain::plan::RoleChange;

/// Changes added up in one transaction.
const AT_ONCE: i64 = 10_000;

impl Store {
    /// Adds up changes of counters, as far as one transaction goes. Returns their number.
    pub async fn sum_counters(&self) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        let summed = sqlx::query!(
            r#"WITH taken AS (
                   DELETE FROM counter_changes
                   WHERE change_id IN (SELECT change_id FROM counter_changes ORDER BY change_id LIMIT $1 FOR UPDATE SKIP LOCKED)
                   RETURNING counter, change
               ), summed AS (
                   INSERT INTO counters AS c (counter, value) SELECT counter, sum(change) FROM taken GROUP BY counter ORDER BY counter
                   ON CONFLICT (counter) DO UPDATE SET value = c.value + excluded.value
               ), past AS (
                   -- these users wait by now
                   DELETE FROM counters WHERE counter > 'later_' AND counter < due_slot(now() - interval '1 hour')
               )
               SELECT count(*) AS "summed!",
                   -- a crash that loses the sum leaves the changes
                   set_config('synchronous_commit', 'off', true) AS commit
               FROM taken"#,
            AT_ONCE
        );
        let summed = summed.fetch_one(&mut tx).await?.summed;
        tx.commit().await?;
        crash_point!("summed");
        Ok(summed)
    }

    /// Adds up changes where no worker has done so for long: none reconciles. Returns their number.
    pub async fn sum_left_counters(&self) -> Result<i64, StoreError> {
        let many = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM counter_changes OFFSET $1) AS "many!""#,
            AT_ONCE
        );
        if many.fetch_one(&self.pool).await? {
            self.sum_counters().await
        } else {
            Ok(0)
        }
    }

    /// The same as [`holders`], in a transaction of its own.
    pub async fn holders(&self, change: RoleChange) -> Result<i64, StoreError> {
        let mut tx = self.begin().await?;
        holders(&mut tx, change).await
    }
}

/// Number of users that a kind of change may concern: users with a role; for revokes, users with a role that may be revoked.
pub(super) async fn holders(tx: &mut Tx<'_>, change: RoleChange) -> Result<i64, StoreError> {
    let counter = match change {
        RoleChange::Granted => "users_with_role",
        RoleChange::Revoked => "users_adopted",
    };
    let holders = sqlx::query_scalar!(
        r#"SELECT (coalesce((SELECT value FROM counters WHERE counter = $1), 0)
               + coalesce((SELECT sum(change) FROM counter_changes WHERE counter = $1), 0))::bigint AS "holders!""#,
        counter
    );
    Ok(holders.fetch_one(&mut *tx).await?)
}
