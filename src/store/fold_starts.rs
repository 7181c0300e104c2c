//! Table `fold_starts`: starts of a fold without a regular end.
//!
//! Owns the distinction between a message that ends the process and one that was only nearby. Must never be written
//! once per batch: a start and an end each write it once, and a fold of single messages once per message.

use uuid::Uuid;

use super::{StoreError, Tx};

/// State found at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Consecutive processes that started at this cursor, including this one.
    pub starts: i32,
    /// Consecutive processes that ended while they folded only the message right behind the cursor.
    pub alone: i32,
}

/// Stores that the process `run` begins to fold `stream` behind `last_seq`.
///
/// # Errors
/// Postgres does not respond.
pub async fn begin(tx: &mut Tx<'_>, stream: &str, last_seq: i64, run: Uuid) -> Result<Start, StoreError> {
    let start = sqlx::query_as!(
        Start,
        r#"INSERT INTO fold_starts AS there (stream, last_seq, starts, run) VALUES ($1, $2, 1, $3)
           ON CONFLICT (stream) DO UPDATE SET
               starts = CASE WHEN there.last_seq <> $2 AND there.alone_seq IS DISTINCT FROM $2 + 1 THEN 1
                             WHEN there.run = $3 THEN there.starts
                             ELSE there.starts + 1 END,
               alone = CASE WHEN there.alone_seq = $2 + 1 THEN there.alone ELSE 0 END,
               alone_seq = CASE WHEN there.alone_seq = $2 + 1 THEN there.alone_seq END,
               last_seq = $2, run = $3, started_at = now()
           RETURNING starts, alone"#,
        stream,
        last_seq,
        run
    );
    Ok(start.fetch_one(&mut *tx).await?)
}

/// Stores that the message `seq` is about to be folded alone.
///
/// # Errors
/// Postgres does not respond.
pub async fn alone(tx: &mut Tx<'_>, stream: &str, seq: i64) -> Result<(), StoreError> {
    let marked = sqlx::query!(
        "UPDATE fold_starts SET alone = CASE WHEN alone_seq = $2 THEN alone + 1 ELSE 1 END, alone_seq = $2, started_at = now()
         WHERE stream = $1",
        stream,
        seq
    );
    marked.execute(&mut *tx).await?;
    Ok(())
}

/// Stores that the process `run` has ended its fold regularly: its start no longer counts.
///
/// # Errors
/// Postgres does not respond.
pub async fn end(tx: &mut Tx<'_>, stream: &str, run: Uuid) -> Result<(), StoreError> {
    let ended = sqlx::query!(
        "DELETE FROM fold_starts WHERE stream = $1 AND run = $2",
        stream,
        run
    );
    ended.execute(&mut *tx).await?;
    Ok(())
}
