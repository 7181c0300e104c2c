//! Table `replaced_events`: messages of APP_EVENTS that the fold counted otherwise than they read.
//!
//! Owns their numbers, from which a recount makes the same choice as the fold. Must never have a row of a message that was counted
//! as it reads.

use std::collections::HashMap;

use super::{Store, StoreError, Tx};

/// A message that was counted otherwise than it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Partition of its playlist.
    pub partition: i16,
    /// Its sequence.
    pub seq: i64,
    /// It deleted its playlist; else it changed nothing.
    pub deletes: bool,
}

/// Stores such messages of a batch, in the transaction of its counts.
pub async fn keep(tx: &mut Tx<'_>, replaced: &[Replaced]) -> Result<(), StoreError> {
    if replaced.is_empty() {
        return Ok(());
    }
    let partitions: Vec<i16> = replaced.iter().map(|one| one.partition).collect();
    let seqs: Vec<i64> = replaced.iter().map(|one| one.seq).collect();
    let deletes: Vec<bool> = replaced.iter().map(|one| one.deletes).collect();
    sqlx::query!(
        "INSERT INTO replaced_events (epoch, partition, stream_seq, deletes)
         SELECT c.epoch, one.* FROM stream_cursors c
         CROSS JOIN UNNEST($1::smallint[], $2::bigint[], $3::boolean[]) AS one(partition, stream_seq, deletes)
         WHERE c.stream = 'APP_EVENTS' ON CONFLICT DO NOTHING",
        &partitions,
        &seqs,
        &deletes
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Such messages of a partition, after one sequence and up to another; the value tells whether the message deleted its playlist.
pub(super) async fn between(
    tx: &mut Tx<'_>,
    (epoch, partition): (i64, i16),
    (after, up_to): (i64, i64),
) -> Result<HashMap<u64, bool>, StoreError> {
    let rows = sqlx::query!(
        "SELECT stream_seq, deletes FROM replaced_events
         WHERE epoch = $1 AND partition = $2 AND stream_seq > $3 AND stream_seq <= $4",
        epoch,
        partition,
        after,
        up_to
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .map(|row| (row.stream_seq.unsigned_abs(), row.deletes))
        .collect())
}

impl Store {
    /// Removes rows of messages before `first_seq`, and of an earlier epoch.
    pub async fn forget_replaced(&self, first_seq: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM replaced_events r USING stream_cursors c
             WHERE c.stream = 'APP_EVENTS' AND (r.epoch <> c.epoch OR r.stream_seq < $1)",
            first_seq
        )
        .execute(&self.pool)
        .await?;
        crash_point!("older_removed");
        Ok(())
    }
}
