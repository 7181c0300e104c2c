//! Table `publish_budgets`: the remaining publishing writes of a user, over all workers.
//!
//! Owns the arithmetic: a fixed number of writes, refilled evenly over a day. Must never write a row for an erased
//! user.

use std::time::Duration;

use super::{Store, StoreError, erasures};
use rolekeeper_domain::ids::UserId;

/// Maximum number of expired rows removed per write: more than a write adds, so the table does not grow over time.
const FORGOTTEN_AT_ONCE: i64 = 5;
const DAY_S: f64 = 86_400.0;

impl Store {
    /// Takes one write from the user's budget of `per_day`. Returns how long to wait if it is used up.
    ///
    /// # Errors
    /// [`StoreError::Erased`], or Postgres refused; nothing was taken then.
    pub async fn take_publish(
        &self,
        user: &UserId<'_>,
        per_day: u32,
    ) -> Result<Result<(), Duration>, StoreError> {
        let cost = DAY_S / f64::from(per_day);
        let mut tx = self.begin().await?;
        erasures::refuse(&mut tx, self.erasure_key(), user.as_str()).await?;
        // The row is locked even without an update, so concurrent writes see each other.
        let taken = sqlx::query!(
            "INSERT INTO publish_budgets AS b (user_id, full_at) VALUES ($1, now() + make_interval(secs => $2))
             ON CONFLICT (user_id) DO UPDATE SET full_at = greatest(b.full_at, now()) + make_interval(secs => $2)
             WHERE greatest(b.full_at, now()) + make_interval(secs => $2) <= now() + make_interval(secs => $3)",
            user.as_str(),
            cost,
            // Tolerates rounding: the last write of a full budget ends at exactly a day.
            DAY_S + 0.001
        );
        if taken.execute(&mut tx).await?.rows_affected() == 1 {
            sqlx::query!(
                "DELETE FROM publish_budgets WHERE user_id IN (
                     SELECT user_id FROM publish_budgets WHERE full_at <= now()
                     ORDER BY full_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
                FORGOTTEN_AT_ONCE
            )
            .execute(&mut tx)
            .await?;
            tx.commit().await?;
            crash_point!("taken");
            return Ok(Ok(()));
        }
        let wait = sqlx::query_scalar!(
            r#"SELECT extract(epoch FROM full_at - now())::double precision + $2 - $3 AS "wait!"
               FROM publish_budgets WHERE user_id = $1"#,
            user.as_str(),
            cost,
            DAY_S
        );
        let wait = wait.fetch_one(&mut tx).await?;
        Ok(Err(Duration::from_secs_f64(wait.clamp(0.0, DAY_S))))
    }

    /// Returns one write to the budget: it was not published.
    pub async fn give_back_publish(&self, user: &UserId<'_>, per_day: u32) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE publish_budgets SET full_at = full_at - make_interval(secs => $2) WHERE user_id = $1",
            user.as_str(),
            DAY_S / f64::from(per_day)
        )
        .execute(&self.pool)
        .await?;
        crash_point!("given_back");
        Ok(())
    }
}
