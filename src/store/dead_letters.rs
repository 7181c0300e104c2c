//! Tables `dead_letters` and `dead_letter_totals`: messages that could not be read.
//!
//! Owns the cap. Must never let a flood of poison fill the disk, and never lose count of it.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{StoreError, Tx};

/// How much of a message is kept.
const KEPT_BYTES: usize = 4 << 10;
/// How many are kept per stream, reason and hour; the rest is only counted.
const KEPT_PER_HOUR: i64 = 1_000;

/// A message that could not be read.
#[derive(Debug)]
pub struct DeadLetter<'a> {
    /// Its sequence in the stream.
    pub seq: i64,
    /// Subject it was published on.
    pub subject: &'a str,
    /// Closed reason.
    pub reason: &'static str,
    /// Names the field.
    pub detail: String,
    /// The payload, whole.
    pub payload: &'a [u8],
    /// When the stream stored it.
    pub stored_at: OffsetDateTime,
}

/// Keeps the letters of one batch, up to the cap, and counts all of them.
pub async fn keep(tx: &mut Tx<'_>, stream: &str, letters: &[DeadLetter<'_>]) -> Result<(), StoreError> {
    let mut by_reason: BTreeMap<&str, Vec<&DeadLetter<'_>>> = BTreeMap::new();
    for letter in letters {
        by_reason.entry(letter.reason).or_default().push(letter);
    }
    for (reason, letters) in by_reason {
        let count = i64::try_from(letters.len()).unwrap_or(i64::MAX);
        let total = sqlx::query_scalar!(
            "INSERT INTO dead_letter_totals (stream, reason, hour, total) VALUES ($1, $2, date_trunc('hour', now()), $3)
             ON CONFLICT (stream, reason, hour) DO UPDATE SET total = dead_letter_totals.total + excluded.total
             RETURNING total",
            stream,
            reason,
            count
        )
        .fetch_one(&mut *tx)
        .await?;
        let room = usize::try_from(KEPT_PER_HOUR - (total - count)).unwrap_or(0);
        for letter in letters.into_iter().take(room) {
            insert(tx, stream, letter).await?;
        }
    }
    Ok(())
}

async fn insert(tx: &mut Tx<'_>, stream: &str, letter: &DeadLetter<'_>) -> Result<(), StoreError> {
    // Postgres' text takes no NUL; a subject cannot hold one, a detail quotes what came.
    let detail = letter.detail.replace('\0', "\u{fffd}");
    sqlx::query!(
        "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT DO NOTHING -- folded again on purpose, after a loss was accepted at an earlier message",
        stream,
        letter.seq,
        letter.subject,
        letter.reason,
        detail,
        &letter.payload[..letter.payload.len().min(KEPT_BYTES)],
        i64::try_from(letter.payload.len()).unwrap_or(i64::MAX),
        letter.stored_at
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
