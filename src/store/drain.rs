//! Table `drain`: how many users wait for an attempt, and how fast attempts end.
//!
//! Owns the number of waiting users, which is summed from counters. Must never count rows of the queue: a drain is when there are
//! very many.

use std::time::Duration;

use super::{Store, StoreError};

/// Age at which a sample no longer counts: no worker reconciles.
const COUNTS_FOR: Duration = Duration::from_mins(1);

/// Progress of the work queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drain {
    /// Users who wait for an attempt.
    pub waiting: i64,
    /// Users whose attempt ended in the last minute; 0 while no worker reconciles.
    pub ended_per_min: f64,
}

impl Drain {
    /// Time until all have had their attempt, at this rate; `None` while none ends.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let waiting = self.waiting.max(0) as f64;
        Duration::try_from_secs_f64(waiting / self.ended_per_min * 60.0).ok()
    }
}

impl Store {
    /// Number of users who wait for an attempt.
    pub async fn waiting_users(&self) -> Result<i64, StoreError> {
        let waiting = sqlx::query_scalar!(
            r#"SELECT greatest(0, coalesce(sum(CASE WHEN counter = 'work_queue' THEN value ELSE -value END), 0))::bigint AS "waiting!"
               FROM (SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS counted
               WHERE counter IN ('work_queue', 'parked', 'held') OR (counter > due_slot(now()) AND counter < 'later_a')"#
        );
        Ok(waiting.fetch_one(&self.pool).await?)
    }

    /// Stores a sample.
    pub async fn sample_drain(&self, drain: &Drain) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE drain SET waiting = $1, ended_per_min = $2, sampled_at = now()",
            drain.waiting,
            drain.ended_per_min
        )
        .execute(&self.pool)
        .await?;
        crash_point!("sampled");
        Ok(())
    }

    /// The progress: the number as of now, the rate of the last sample.
    pub async fn drain(&self) -> Result<Drain, StoreError> {
        let ended = sqlx::query_scalar!(
            r#"SELECT CASE WHEN sampled_at > now() - $1::double precision * interval '1 second' THEN ended_per_min ELSE 0 END AS "ended!"
               FROM drain"#,
            COUNTS_FOR.as_secs_f64()
        );
        Ok(Drain {
            waiting: self.waiting_users().await?,
            ended_per_min: ended.fetch_one(&self.pool).await?,
        })
    }
}
