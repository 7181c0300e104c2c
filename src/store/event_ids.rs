//! Tables `event_ids` and `event_id_partitions`: ids of counted events, in partitions by time.
//!
//! Owns the lookup and storage of ids, and the creation and removal of partitions. Must never delete a row: a whole
//! partition is dropped once all of it is old.

use std::collections::HashMap;

use super::{LockGuard, StoreError, Tx};
use rolekeeper_domain::dedup_window::Partition;

/// Longest wait for readers of the table when a partition is created or dropped.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// The existing partitions, oldest first.
pub async fn partitions(lock: &mut LockGuard) -> Result<Vec<Partition>, StoreError> {
    let mut tx = lock.begin().await?;
    let partitions = partitions_now(&mut tx).await?;
    tx.commit().await?;
    Ok(partitions)
}

/// The same inside a transaction.
pub async fn partitions_now(tx: &mut Tx<'_>) -> Result<Vec<Partition>, StoreError> {
    let partitions = sqlx::query_as!(
        Partition,
        r#"SELECT partition_from AS "from", partition_to AS "to" FROM event_id_partitions ORDER BY partition_from"#
    );
    Ok(partitions.fetch_all(&mut *tx).await?)
}

/// Creates a partition. It is attached, not created in place, so that it waits for no reader.
pub async fn make(lock: &mut LockGuard, partition: &Partition) -> Result<(), StoreError> {
    let mut tx = lock.begin().await?;
    make_now(&mut tx, partition).await?;
    tx.commit().await?;
    crash_point!("partition_made");
    Ok(())
}

/// The same inside a transaction.
pub async fn make_now(tx: &mut Tx<'_>, partition: &Partition) -> Result<(), StoreError> {
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *tx).await?;
    sqlx::query!(
        "SELECT create_event_id_partition($1, $2)",
        partition.from,
        partition.to
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Drops a partition with all its ids.
pub async fn drop_partition(lock: &mut LockGuard, partition: &Partition) -> Result<(), StoreError> {
    let mut tx = lock.begin().await?;
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut tx).await?;
    sqlx::query!("SELECT drop_event_id_partition($1)", partition.from)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    crash_point!("partition_dropped");
    Ok(())
}

/// The known ids among `ids` in these partitions, with the hash of the payload that they came with.
pub async fn known(
    tx: &mut Tx<'_>,
    partitions: &[i64],
    ids: &[&str],
) -> Result<HashMap<String, i64>, StoreError> {
    if partitions.is_empty() || ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "SELECT event_id, payload FROM event_ids WHERE partition_from = ANY($1) AND event_id = ANY($2::text[])",
        partitions,
        ids as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    Ok(rows.into_iter().map(|row| (row.event_id, row.payload)).collect())
}

/// The times at which the stream stored the known ids among `ids` in these partitions, Unix nanoseconds.
pub async fn stored(
    tx: &mut Tx<'_>,
    partitions: &[i64],
    ids: &[&str],
) -> Result<HashMap<String, i64>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT event_id, stored_ns AS "stored_ns!" FROM event_ids
           WHERE partition_from = ANY($1) AND event_id = ANY($2::text[]) AND stored_ns IS NOT NULL"#,
        partitions,
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
    partitions: &[i64],
    payloads: &[i64],
    ids: &[&str],
    stored_ns: &[i64],
) -> Result<(), StoreError> {
    let kept = sqlx::query!(
        "INSERT INTO event_ids (partition_from, payload, event_id, stored_ns)
         SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])",
        partitions,
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
    partitions: &[i64],
    payloads: &[i64],
    ids: &[&str],
    stored_ns: &[i64],
) -> Result<(), StoreError> {
    let kept = sqlx::query!(
        "INSERT INTO event_ids (partition_from, payload, event_id, stored_ns)
         SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING",
        partitions,
        payloads,
        ids as &[&str],
        stored_ns
    );
    kept.execute(&mut *tx).await?;
    Ok(())
}
