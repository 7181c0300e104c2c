//! Table `pause`: a person has stopped all looks and writes.
//!
//! Owns the row that says so; the claim of `nominations` obeys it. Must never touch what is in hand.

use time::OffsetDateTime;

use super::{Store, StoreError, Wake};

/// What a person has stopped.
#[derive(Clone, Debug)]
pub struct Paused {
    /// Since when.
    pub since: OffsetDateTime,
    /// What the person said about it.
    pub reason: Option<String>,
}

impl Store {
    /// What a person has stopped; none when nothing is.
    pub async fn paused(&self) -> Result<Option<Paused>, StoreError> {
        let row = sqlx::query_as!(Paused, "SELECT since, reason FROM pause");
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Stops looks and writes. Answers how many users are in hand and come to their end; none when it was
    /// stopped already (a new reason is kept).
    pub async fn pause(&self, reason: Option<&str>) -> Result<Option<i64>, StoreError> {
        let mut tx = self.begin().await?;
        let fresh = sqlx::query_scalar!(
            r#"INSERT INTO pause (reason) VALUES ($1)
               ON CONFLICT (only_row) DO UPDATE SET reason = coalesce(excluded.reason, pause.reason)
               RETURNING since = now() AS "fresh!""#,
            reason
        )
        .fetch_one(&mut tx)
        .await?;
        let in_hand =
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM nominations WHERE lease_until > now()"#);
        let in_hand = in_hand.fetch_one(&mut tx).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(fresh.then_some(in_hand))
    }

    /// Goes on, also after changes that the audit had forgotten. Answers false when nothing was stopped.
    pub async fn resume(&self, why: Option<&str>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let forgotten = super::forgotten::resume(&mut tx, why).await?;
        let ended = sqlx::query!("DELETE FROM pause").execute(&mut tx).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(forgotten || ended.rows_affected() > 0)
    }
}
