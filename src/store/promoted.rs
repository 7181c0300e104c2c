//! Columns `dedup_until_ns` and `duplicate_window_s` of `stream_cursors`: a mirror that replaced its stream.
//!
//! Owns that the cursor continues in the promoted stream, and how long duplicates are dropped. Must never move the
//! cursor to another message.

use super::{Channel, Cursor, LockGuard, Store, StoreError, acts, work_queue};
use rolekeeper_domain::act::Act;

impl Store {
    /// Accepts the loss of `stream`: the stream created at `created_ns` continues right behind `cursor`, and messages
    /// that it stores before `until_ns` are compared with the ids of the `window_s` seconds before. Revokes held for
    /// the loss become due. Returns false and does nothing without a loss, or if the cursor has changed.
    pub async fn accept_promoted(
        &self,
        stream: &str,
        cursor: &Cursor,
        (created_ns, until_ns, window_s): (i64, i64, i64),
        (channel, act): (Channel, &Act),
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let accepted = sqlx::query!(
            "UPDATE stream_losses SET accepted_at = now() WHERE stream = $1 AND accepted_at IS NULL",
            stream
        );
        if accepted.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let moved = sqlx::query!(
            "UPDATE stream_cursors SET created_ns = $2, dedup_until_ns = $3, duplicate_window_s = $4, epoch = epoch + 1,
                 moved_at = now()
             WHERE stream = $1 AND created_ns = $5 AND last_seq = $6 AND epoch = $7",
            stream,
            created_ns,
            until_ns,
            window_s,
            cursor.created_ns,
            cursor.last_seq,
            cursor.epoch
        );
        if moved.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        work_queue::release_held(&mut tx).await?;
        acts::keep(&mut tx, act, "accepted: a promoted mirror goes on").await?;
        channel.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("accepted");
        Ok(true)
    }
}

/// One duplicate window has passed: the stream itself drops duplicates from now on.
pub async fn dedup_ended(lock: &mut LockGuard, stream: &str) -> Result<(), StoreError> {
    let mut tx = lock.begin().await?;
    sqlx::query!(
        "UPDATE stream_cursors SET dedup_until_ns = 0 WHERE stream = $1",
        stream
    )
    .execute(&mut tx)
    .await?;
    tx.commit().await?;
    crash_point!("dedup_ended");
    Ok(())
}
