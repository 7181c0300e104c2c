//! Table `cursor_marks`: the position of a stream's cursor, once a minute.
//!
//! Owns the decision which messages were committed long enough ago. Must never use a mark of another stream with the
//! same name, nor one from before an operator set the cursor.

use std::time::Duration;

use super::{Cursor, Store, StoreError};

/// The messages that may be removed, as far as Postgres knows.
#[derive(Clone, Copy, Debug)]
pub struct Trimmable {
    /// The cursor of the fold.
    pub cursor: Cursor,
    /// Last sequence that may be removed when space is needed.
    pub if_needed: Option<i64>,
    /// Last sequence older than the retention of folded messages.
    pub by_age: Option<i64>,
}

impl Store {
    /// Stores the position of the cursor if it has moved. Removes marks of messages before `first_seq`, of another
    /// stream and of an earlier epoch.
    pub async fn mark_cursor(&self, stream: &str, first_seq: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO cursor_marks (stream, created_ns, epoch, last_seq, last_stored_ns)
             SELECT stream, created_ns, epoch, last_seq, last_stored_ns FROM stream_cursors
             WHERE stream = $1 AND last_stored_ns > 0
             ON CONFLICT DO NOTHING",
            stream
        )
        .execute(&self.pool)
        .await?;
        crash_point!("marked");
        sqlx::query!(
            "DELETE FROM cursor_marks m USING stream_cursors c
             WHERE m.stream = $1 AND c.stream = $1
               AND (m.last_seq < $2 OR m.created_ns <> c.created_ns OR m.epoch <> c.epoch)",
            stream,
            first_seq
        )
        .execute(&self.pool)
        .await?;
        crash_point!("older_removed");
        Ok(())
    }

    /// The messages committed longer than `floor` ago: those stored before `young_ns` may be removed when space is
    /// needed, and those stored before `old_ns` are old. `None` before the first start of the fold.
    pub async fn trimmable(
        &self,
        stream: &str,
        floor: Duration,
        young_ns: i64,
        old_ns: i64,
    ) -> Result<Option<Trimmable>, StoreError> {
        let row = sqlx::query!(
            r#"WITH settled AS (
                   SELECT m.last_seq, m.last_stored_ns FROM cursor_marks m JOIN stream_cursors c USING (stream)
                   WHERE m.stream = $1 AND m.created_ns = c.created_ns AND m.epoch = c.epoch AND m.last_seq <= c.last_seq
                     AND m.marked_at <= clock_timestamp() - make_interval(secs => $2)
               )
               SELECT created_ns, last_seq, last_stored_ns, epoch, newest_stored_ns, last_hash, dedup_until_ns,
                      duplicate_window_s,
                      (SELECT max(last_seq) FROM settled WHERE last_stored_ns < $3) AS if_needed,
                      (SELECT max(last_seq) FROM settled WHERE last_stored_ns < least($3, $4)) AS by_age
               FROM stream_cursors WHERE stream = $1"#,
            stream,
            floor.as_secs_f64(),
            young_ns,
            old_ns
        );
        Ok(row.fetch_optional(&self.pool).await?.map(|row| Trimmable {
            cursor: Cursor {
                created_ns: row.created_ns,
                last_seq: row.last_seq,
                last_stored_ns: row.last_stored_ns,
                epoch: row.epoch,
                newest_stored_ns: row.newest_stored_ns,
                last_hash: row.last_hash,
                dedup_until_ns: row.dedup_until_ns,
                duplicate_window_s: row.duplicate_window_s,
            },
            if_needed: row.if_needed,
            by_age: row.by_age,
        }))
    }
}
