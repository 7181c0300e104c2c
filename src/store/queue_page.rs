//! The work queue for the operator: the next users, and all users page by page.
//!
//! Owns these two orders. Must never sort or count the queue: both are index ranges.

use super::explanation::{QueuedRow, entries};
use super::{Store, StoreError, Tx, pipe};
use rolekeeper_domain::explanation::Queued;
use rolekeeper_domain::view::cut;
use rolekeeper_domain::view::queue::Queue;

impl Store {
    /// The queue: at most `next` users whose attempts are next, and at most `most` users behind `after`, by id.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn queue_page(&self, after: &str, next: i64, most: i64) -> Result<Queue, StoreError> {
        let drain = self.drain_shown().await?;
        let mut tx = self.begin_to_read().await?;
        let row = sqlx::query!(
            r#"SELECT now() AS "at!", greatest(0, coalesce(sum(value), 0))::bigint AS "users!"
               FROM (SELECT counter, value FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS counted
               WHERE counter = 'work_queue'"#
        );
        let row = row.fetch_one(&mut tx).await?;
        let (parked, held) = pipe::parked_and_held(&mut tx).await?;
        let mut page = by_id(&mut tx, after, most + 1).await?;
        let more = cut(&mut page, most);
        Ok(Queue {
            at: row.at,
            users: row.users,
            parked,
            held,
            drain,
            next: next_due(&mut tx, next).await?,
            page,
            more,
        })
    }
}

/// The users whose attempts are next. Users of one priority that became due at once are in no order.
async fn next_due(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Queued>, StoreError> {
    let rows = sqlx::query_as!(
        QueuedRow,
        r#"SELECT n.user_id AS "user_id!", n.priority AS "priority!", n.enqueued_at AS "enqueued_at!", n.due_at AS "due_at!",
               n.lease_until, n.attempts AS "attempts!", n.last_error, n.failed_at, n.parked_at, n.held_by, n.last_held_by,
               n.cause_event, n.cause_stored_at, n.cause_plays, n.cause_seq
           FROM (VALUES (0::smallint), (1::smallint), (2::smallint), (3::smallint), (4::smallint)) AS level(priority)
           CROSS JOIN LATERAL (
               SELECT * FROM work_queue
               WHERE priority = level.priority AND due_at <= now() AND parked_at IS NULL AND held_by IS NULL
               ORDER BY due_at LIMIT $1
           ) AS n
           ORDER BY n.priority, n.due_at, n.user_id LIMIT $1"#,
        most
    );
    Ok(entries(rows.fetch_all(&mut *tx).await?))
}

async fn by_id(tx: &mut Tx<'_>, after: &str, most: i64) -> Result<Vec<Queued>, StoreError> {
    let rows = sqlx::query_as!(
        QueuedRow,
        "SELECT user_id, priority, enqueued_at, due_at, lease_until, attempts, last_error, failed_at, parked_at, held_by, last_held_by,
             cause_event, cause_stored_at, cause_plays, cause_seq
         FROM work_queue WHERE user_id > $1 ORDER BY user_id LIMIT $2",
        after,
        most
    );
    Ok(entries(rows.fetch_all(&mut *tx).await?))
}
