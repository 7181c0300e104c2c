//! Tables `event_ids` and `event_id_slices`: ids of counted events, in partitions by time.
//!
//! Owns the lookup and storage of ids, and the creation and removal of partitions. Must never delete a row: a whole
//! partition is dropped once all of it is old.

use std::collections::HashMap;

use super::{LockGuard, StoreError, Tx};
use rolekeeper_domain::horizon::Slice;

/// Longest wait for readers of the table when a partition is created or dropped.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// The existing partitions, oldest first.
pub async fn slices(lock: &mut LockGuard) -> Result<Vec<Slice>, StoreError> {
    let mut tx = lock.begin().await?;
    let slices = slices_now(&mut tx).await?;
    tx.commit().await?;
    Ok(slices)
}

/// The same inside a transaction.
pub async fn slices_now(tx: &mut Tx<'_>) -> Result<Vec<Slice>, StoreError> {
    let slices = sqlx::query_as!(
        Slice,
        r#"SELECT slice_from AS "from", slice_to AS "to" FROM event_id_slices ORDER BY slice_from"#
    );
    Ok(slices.fetch_all(&mut *tx).await?)
}

/// Creates a partition. It is attached, not created in place, so that it waits for no reader.
pub async fn make(lock: &mut LockGuard, slice: &Slice) -> Result<(), StoreError> {
    let mut tx = lock.begin().await?;
    make_now(&mut tx, slice).await?;
    Ok(tx.commit().await?)
}

/// The same inside a transaction.
pub async fn make_now(tx: &mut Tx<'_>, slice: &Slice) -> Result<(), StoreError> {
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *tx).await?;
    sqlx::query!("SELECT make_event_id_slice($1, $2)", slice.from, slice.to)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Drops a partition with all its ids.
pub async fn drop_slice(lock: &mut LockGuard, slice: &Slice) -> Result<(), StoreError> {
    let mut tx = lock.begin().await?;
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut tx).await?;
    sqlx::query!("SELECT drop_event_id_slice($1)", slice.from)
        .execute(&mut tx)
        .await?;
    Ok(tx.commit().await?)
}

/// The known ids among `ids` in these partitions, with the hash of the payload that they came with.
pub async fn known(
    tx: &mut Tx<'_>,
    slices: &[i64],
    ids: &[&str],
) -> Result<HashMap<String, i64>, StoreError> {
    if slices.is_empty() || ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "SELECT event_id, payload FROM event_ids WHERE slice_from = ANY($1) AND event_id = ANY($2::text[])",
        slices,
        ids as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    Ok(rows.into_iter().map(|row| (row.event_id, row.payload)).collect())
}

/// The times at which the stream stored the known ids among `ids` in these partitions, Unix nanoseconds.
pub async fn stored(
    tx: &mut Tx<'_>,
    slices: &[i64],
    ids: &[&str],
) -> Result<HashMap<String, i64>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT event_id, stored_ns AS "stored_ns!" FROM event_ids
           WHERE slice_from = ANY($1) AND event_id = ANY($2::text[]) AND stored_ns IS NOT NULL"#,
        slices,
        ids as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.event_id, row.stored_ns))
        .collect())
}

/// Stores ids that are in no partition yet; sorted, so that pages are touched in order.
pub async fn keep(
    tx: &mut Tx<'_>,
    slices: &[i64],
    payloads: &[i64],
    ids: &[&str],
    stored_ns: &[i64],
) -> Result<(), StoreError> {
    let kept = sqlx::query!(
        "INSERT INTO event_ids (slice_from, payload, event_id, stored_ns)
         SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])",
        slices,
        payloads,
        ids as &[&str],
        stored_ns
    );
    kept.execute(&mut *tx).await?;
    Ok(())
}

/// Stores ids of events that were counted before; known ids stay unchanged.
pub async fn keep_counted(
    tx: &mut Tx<'_>,
    slices: &[i64],
    payloads: &[i64],
    ids: &[&str],
    stored_ns: &[i64],
) -> Result<(), StoreError> {
    let kept = sqlx::query!(
        "INSERT INTO event_ids (slice_from, payload, event_id, stored_ns)
         SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING",
        slices,
        payloads,
        ids as &[&str],
        stored_ns
    );
    kept.execute(&mut *tx).await?;
    Ok(())
}
