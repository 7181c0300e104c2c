//! Tables `log_checkpoint` and `log_deliveries`: how far the tenant's log was read, and the last delivery of the log
//! stream.
//!
//! Owns their one row each. Must never store more of a record than its id and date.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Store, StoreError};

/// The gap filler's checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Id of the last record taken.
    pub log_id: String,
    /// Date of that record by Auth0, if it has one.
    pub record_at: Option<OffsetDateTime>,
}

/// State of the log stream's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamHealth {
    /// Unchanged.
    Same,
    /// No delivery for too long.
    Silent {
        /// The last delivery; before the first one, the time at which monitoring began.
        since: OffsetDateTime,
    },
    /// Deliveries have resumed.
    Again {
        /// The last delivery before the gap.
        since: OffsetDateTime,
    },
}

impl Store {
    /// The gap filler's checkpoint; `None` before its first start.
    pub async fn log_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let row = sqlx::query_as!(Checkpoint, "SELECT log_id, record_at FROM log_checkpoint");
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Stores this record as the checkpoint.
    pub async fn put_log_checkpoint(&self, at: &Checkpoint) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO log_checkpoint (log_id, record_at) VALUES ($1, $2)
             ON CONFLICT (only_row) DO UPDATE
             SET log_id = excluded.log_id, record_at = excluded.record_at, read_at = now()",
            at.log_id,
            at.record_at
        )
        .execute(&self.pool)
        .await?;
        crash_point!("checkpoint");
        Ok(())
    }

    /// Stores that the log stream delivered now.
    pub async fn note_delivery(&self) -> Result<(), StoreError> {
        sqlx::query!("UPDATE log_deliveries SET last_at = greatest(last_at, now())")
            .execute(&self.pool)
            .await?;
        crash_point!("delivered");
        Ok(())
    }

    /// Returns whether the deliveries of the log stream stopped or resumed since the last call of any worker; `after`
    /// is the longest allowed time without one.
    pub async fn stream_health(&self, after: Duration) -> Result<StreamHealth, StoreError> {
        let silent = sqlx::query_scalar!(
            r#"UPDATE log_deliveries SET silent_since = last_at
               WHERE silent_since IS NULL AND last_at < now() - make_interval(secs => $1)
               RETURNING last_at"#,
            after.as_secs_f64()
        );
        let silent = silent.fetch_optional(&self.pool).await?;
        crash_point!("silent");
        if let Some(since) = silent {
            return Ok(StreamHealth::Silent { since });
        }
        let again = sqlx::query_scalar!(
            r#"WITH was AS (SELECT silent_since FROM log_deliveries WHERE last_at > silent_since FOR UPDATE)
               UPDATE log_deliveries SET silent_since = NULL FROM was
               RETURNING was.silent_since AS "since!""#
        );
        let again = again.fetch_optional(&self.pool).await?;
        crash_point!("delivery_again");
        Ok(again.map_or(StreamHealth::Same, |since| StreamHealth::Again { since }))
    }
}
