//! What is kept for a while only, and goes.
//!
//! Owns the removal, in slices: no statement of it locks many rows or runs long. Must never remove what is still needed
//! to decide, or what an operator has not had time to look at.

use std::time::Duration;

use super::{Store, StoreError};

/// Rows that one transaction removes.
const SLICE: i64 = 5_000;

/// What is removed once it is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Writes of ours.
    OwnWrites,
    /// Writes of others.
    ForeignWrites,
    /// When display names were written.
    NameWrites,
    /// Races that are settled.
    Races,
    /// Messages that could not be read.
    DeadLetters,
    /// How many those were.
    DeadLetterTotals,
    /// Ids of plays that were taken back.
    Retractions,
}

impl Store {
    /// Removes what has been kept for longer than `kept`. Returns how many rows.
    pub async fn forget(&self, what: Kept, kept: Duration) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let slice = self.forget_slice(what, kept.as_secs_f64()).await?;
            removed += slice;
            if slice < SLICE.unsigned_abs() {
                return Ok(removed);
            }
        }
    }

    async fn forget_slice(&self, what: Kept, kept: f64) -> Result<u64, StoreError> {
        let query = match what {
            Kept::OwnWrites => sqlx::query!(
                "DELETE FROM profile_writes WHERE write_id = ANY(ARRAY(
                     SELECT write_id FROM profile_writes WHERE attempted_at < now() - $1::double precision * interval '1 second'
                     ORDER BY attempted_at LIMIT $2))",
                kept,
                SLICE
            ),
            Kept::ForeignWrites => sqlx::query!(
                "DELETE FROM foreign_writes WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM foreign_writes WHERE noted_at < now() - $1::double precision * interval '1 second'
                     ORDER BY noted_at LIMIT $2))",
                kept,
                SLICE
            ),
            Kept::NameWrites => sqlx::query!(
                "DELETE FROM display_name_writes WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM display_name_writes WHERE written_at < now() - $1::double precision * interval '1 second' LIMIT $2))",
                kept,
                SLICE
            ),
            Kept::Races => sqlx::query!(
                "DELETE FROM races WHERE race_id = ANY(ARRAY(
                     SELECT race_id FROM races WHERE settled_at < now() - $1::double precision * interval '1 second'
                     ORDER BY settled_at LIMIT $2))",
                kept,
                SLICE
            ),
            Kept::DeadLetters => sqlx::query!(
                "DELETE FROM dead_letters WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM dead_letters WHERE kept_at < now() - $1::double precision * interval '1 second'
                     ORDER BY kept_at LIMIT $2))",
                kept,
                SLICE
            ),
            Kept::DeadLetterTotals => sqlx::query!(
                "DELETE FROM dead_letter_totals WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM dead_letter_totals WHERE hour < now() - $1::double precision * interval '1 second' LIMIT $2))",
                kept,
                SLICE
            ),
            Kept::Retractions => sqlx::query!(
                "DELETE FROM retractions WHERE retracted_id = ANY(ARRAY(
                     SELECT retracted_id FROM retractions WHERE counted_at < now() - $1::double precision * interval '1 second'
                     ORDER BY counted_at LIMIT $2))",
                kept,
                SLICE
            ),
        };
        let mut tx = self.begin().await?;
        let removed = query.execute(&mut tx).await?.rows_affected();
        tx.commit().await?;
        Ok(removed)
    }
}
