//! Table `fold_starts`: starts of a fold that have not ended in order.
//!
//! Owns what tells a message that ends the process from one that only was there. Must never be written once a batch: a
//! start and an end each write it once, and a fold of single messages once a message.

use uuid::Uuid;

use super::{StoreError, Tx};

/// What a start finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Processes in a row that started at this cursor, this one too.
    pub starts: i32,
    /// Processes in a row that ended while they folded the message right behind the cursor alone.
    pub alone: i32,
}

/// Notes that the process `run` begins to fold `stream` behind `last_seq`.
///
/// # Errors
/// Postgres does not answer.
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

/// Notes that the message `seq` is about to be folded alone.
///
/// # Errors
/// Postgres does not answer.
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

/// Notes that the process `run` has ended its fold in order: its start counts no more.
///
/// # Errors
/// Postgres does not answer.
pub async fn end(tx: &mut Tx<'_>, stream: &str, run: Uuid) -> Result<(), StoreError> {
    let ended = sqlx::query!(
        "DELETE FROM fold_starts WHERE stream = $1 AND run = $2",
        stream,
        run
    );
    ended.execute(&mut *tx).await?;
    Ok(())
}
