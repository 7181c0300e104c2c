//! The tables' part of the pipe: how far the folds are, and how much waits behind them.
//!
//! Owns the statements behind it. Must stay cheap at any number of users: each reads counters, a few rows, or an index range up to
//! a bound.

use super::{Store, StoreError, Tx, explanation};
use rolekeeper_domain::view::Capped;
use rolekeeper_domain::view::brakes::Drain;
use rolekeeper_domain::view::pipe::{CursorReading, Tables};

/// Most unannounced changes that are counted.
const COUNTED_AT_MOST: i64 = 10_000;

impl Store {
    /// Reads it, with the positions of the folds of these two streams.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn pipe(&self, app_events: &str, auth0_logs: &str) -> Result<Tables, StoreError> {
        let drain = self.drain_shown().await?;
        let mut tx = self.begin_to_read().await?;
        let (parked, held) = parked_and_held(&mut tx).await?;
        let (unannounced, oldest_unannounced_s) = unannounced(&mut tx).await?;
        Ok(Tables {
            app_events: cursor(&mut tx, app_events).await?,
            auth0_logs: cursor(&mut tx, auth0_logs).await?,
            parked,
            held,
            drain,
            oldest_due_s: oldest_due(&mut tx).await?,
            unannounced,
            oldest_unannounced_s,
            system: explanation::system(&mut tx, "").await?,
        })
    }

    /// Number of parked users, as the counters say.
    pub async fn parked_users(&self) -> Result<i64, StoreError> {
        Ok(parked_and_held(&mut self.begin_to_read().await?).await?.0)
    }

    /// Progress of the work queue, as it is shown.
    pub async fn drain_shown(&self) -> Result<Drain, StoreError> {
        let drain = self.drain().await?;
        let remaining = drain.remaining().filter(|_| drain.waiting > 0);
        Ok(Drain {
            waiting: drain.waiting,
            ended_per_min: drain.ended_per_min,
            remaining_s: remaining.map(|remaining| remaining.as_secs()),
        })
    }
}

async fn cursor(tx: &mut Tx<'_>, stream: &str) -> Result<Option<CursorReading>, StoreError> {
    let row = sqlx::query_as!(
        CursorReading,
        "SELECT last_seq, last_stored_ns FROM stream_cursors WHERE stream = $1",
        stream
    );
    Ok(row.fetch_optional(&mut *tx).await?)
}

/// Parked and held users, as the counters say.
pub(super) async fn parked_and_held(tx: &mut Tx<'_>) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query!(
        r#"SELECT coalesce(sum(value) FILTER (WHERE counter = 'parked'), 0)::bigint AS "parked!",
               coalesce(sum(value) FILTER (WHERE counter = 'held'), 0)::bigint AS "held!"
           FROM (SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS counted
           WHERE counter IN ('parked', 'held')"#
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok((row.parked, row.held))
}

/// Seconds since the longest-due user without a running attempt became due.
async fn oldest_due(tx: &mut Tx<'_>) -> Result<f64, StoreError> {
    let oldest = sqlx::query_scalar!(
        r#"SELECT coalesce(extract(epoch FROM now() - min(first.due_at)), 0)::double precision AS "oldest!"
           FROM (VALUES (0::smallint), (1::smallint), (2::smallint), (3::smallint), (4::smallint)) AS level(priority)
           CROSS JOIN LATERAL (
               SELECT due_at FROM work_queue
               WHERE priority = level.priority AND due_at <= now() AND parked_at IS NULL AND held_by IS NULL AND lease IS NULL
               ORDER BY due_at LIMIT 1
           ) AS first"#
    );
    Ok(oldest.fetch_one(&mut *tx).await?)
}

/// Completed changes that are not announced, and the age of the oldest in seconds.
async fn unannounced(tx: &mut Tx<'_>) -> Result<(Capped, f64), StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", coalesce(extract(epoch FROM now() - min(completed_at)), 0)::double precision AS "oldest!"
           FROM (
               SELECT completed_at FROM role_changes
               WHERE completed_at IS NOT NULL AND announced_at IS NULL AND change IN ('granted', 'revoked')
               ORDER BY completed_at, change_id LIMIT $1
           ) AS waiting"#,
        COUNTED_AT_MOST + 1
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok((Capped::of(row.count, COUNTED_AT_MOST), row.oldest))
}
