//! Parked users, for a person: who waits since when and why, and making them due again.
//!
//! Owns the view on `nominations` that a person works with. Must never wake somebody who is not parked: who backs off
//! or is in hand keeps that.

use time::OffsetDateTime;

use super::{Store, StoreError, Wake};

/// A user nobody looks at until a person, a change of the profile or a day's end wakes them.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Auth0 user id.
    pub user: String,
    /// Since when.
    pub since: OffsetDateTime,
    /// Failed looks in a row, the one that parked included.
    pub attempts: i32,
    /// What that look said.
    pub why: String,
}

impl Store {
    /// Parked users, longest parked first, at most `most`.
    pub async fn parked(&self, most: i64) -> Result<Vec<Parked>, StoreError> {
        let rows = sqlx::query_as!(
            Parked,
            r#"SELECT user_id AS "user", parked_at AS "since!", attempts, coalesce(last_error, '') AS "why!"
               FROM nominations WHERE parked_at IS NOT NULL ORDER BY parked_at, user_id LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// How many users are parked.
    pub async fn count_parked(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM nominations WHERE parked_at IS NOT NULL"#
        );
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Makes parked users due now, as if they had never failed; their profiles are read. All parked users when
    /// `users` is none. Answers who was parked.
    pub async fn requeue(&self, users: Option<&[String]>) -> Result<Vec<String>, StoreError> {
        let mut tx = self.begin().await?;
        let requeued = sqlx::query_scalar!(
            "UPDATE nominations SET parked_at = NULL, attempts = 0, observe = true, due_at = now()
             WHERE parked_at IS NOT NULL AND ($1::text[] IS NULL OR user_id = ANY($1))
             RETURNING user_id",
            users
        )
        .fetch_all(&mut *tx)
        .await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(requeued)
    }
}
