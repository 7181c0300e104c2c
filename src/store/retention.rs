//! Removes data after its retention.
//!
//! Owns the removal, in batches: no statement locks many rows or runs long. Must never remove data that is still needed
//! for a decision, or that an operator has not had time to read.

use std::time::Duration;

use super::{Store, StoreError};

/// Rows removed in one transaction.
const BATCH: i64 = 5_000;

/// Data with a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// Our writes.
    OwnWrites,
    /// Writes of other clients.
    ForeignWrites,
    /// Times at which display names were written.
    NameWrites,
    /// Settled races.
    Races,
    /// Messages that could not be folded.
    DeadLetters,
    /// Numbers of dead letters.
    DeadLetterTotals,
    /// Ids of retracted plays.
    Retractions,
}

impl Store {
    /// Removes rows older than `kept`. Returns their number.
    pub async fn forget(&self, what: Retained, kept: Duration) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let batch = self.forget_batch(what, kept.as_secs_f64()).await?;
            removed += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(removed);
            }
        }
    }

    async fn forget_batch(&self, what: Retained, kept: f64) -> Result<u64, StoreError> {
        let query = match what {
            Retained::OwnWrites => sqlx::query!(
                "DELETE FROM profile_writes WHERE write_id = ANY(ARRAY(
                     SELECT write_id FROM profile_writes WHERE attempted_at < now() - $1::double precision * interval '1 second'
                     ORDER BY attempted_at LIMIT $2))",
                kept,
                BATCH
            ),
            Retained::ForeignWrites => sqlx::query!(
                "DELETE FROM foreign_writes WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM foreign_writes WHERE noted_at < now() - $1::double precision * interval '1 second'
                     ORDER BY noted_at LIMIT $2))",
                kept,
                BATCH
            ),
            Retained::NameWrites => sqlx::query!(
                "DELETE FROM display_name_writes WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM display_name_writes WHERE written_at < now() - $1::double precision * interval '1 second' LIMIT $2))",
                kept,
                BATCH
            ),
            Retained::Races => sqlx::query!(
                "DELETE FROM races WHERE race_id = ANY(ARRAY(
                     SELECT race_id FROM races WHERE settled_at < now() - $1::double precision * interval '1 second'
                     ORDER BY settled_at LIMIT $2))",
                kept,
                BATCH
            ),
            Retained::DeadLetters => sqlx::query!(
                "DELETE FROM dead_letters WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM dead_letters WHERE kept_at < now() - $1::double precision * interval '1 second'
                     ORDER BY kept_at LIMIT $2))",
                kept,
                BATCH
            ),
            Retained::DeadLetterTotals => sqlx::query!(
                "DELETE FROM dead_letter_totals WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM dead_letter_totals WHERE hour < now() - $1::double precision * interval '1 second' LIMIT $2))",
                kept,
                BATCH
            ),
            Retained::Retractions => sqlx::query!(
                "DELETE FROM retractions WHERE retracted_id = ANY(ARRAY(
                     SELECT retracted_id FROM retractions WHERE counted_at < now() - $1::double precision * interval '1 second'
                     ORDER BY counted_at LIMIT $2))",
                kept,
                BATCH
            ),
        };
        let mut tx = self.begin().await?;
        let removed = query.execute(&mut tx).await?.rows_affected();
        tx.commit().await?;
        crash_point!("batch_removed");
        Ok(removed)
    }
}
