//! Table `brakes`: the statements that are the same for every kind of change.
//!
//! Owns lock, engagement and release of one row. Must never count: each kind counts other rows.

use std::time::Duration;

use time::OffsetDateTime;

use super::{StoreError, Tx};

/// Locks the row of one kind until the transaction ends. Returns whether it is engaged, and the time from which on
/// changes count: the start of the window, or the last release by the operator.
pub(super) async fn lock(
    tx: &mut Tx<'_>,
    kind: &str,
    window: Duration,
) -> Result<(bool, OffsetDateTime), StoreError> {
    let row = sqlx::query!(
        r#"SELECT engaged_at IS NOT NULL AS "engaged!",
               greatest(now() - $2::double precision * interval '1 second', released_at) AS "since!"
           FROM brakes WHERE change = $1 FOR UPDATE"#,
        kind,
        window.as_secs_f64()
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok((row.engaged, row.since))
}

/// Time since which it is engaged, without a lock.
pub(super) async fn engaged_at(tx: &mut Tx<'_>, kind: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    let engaged = sqlx::query_scalar!("SELECT engaged_at FROM brakes WHERE change = $1", kind);
    Ok(engaged.fetch_one(&mut *tx).await?)
}

/// Engages it: from here on every change of its kind is held.
pub(super) async fn engage(
    tx: &mut Tx<'_>,
    kind: &str,
    changes: i64,
    holders: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE brakes SET engaged_at = now(), changes = $2, holders = $3 WHERE change = $1",
        kind,
        changes,
        holders
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Releases it if it is engaged; its count restarts. Returns whether it was.
pub(super) async fn release(tx: &mut Tx<'_>, kind: &str) -> Result<bool, StoreError> {
    let released = sqlx::query!(
        "UPDATE brakes SET engaged_at = NULL, changes = NULL, counted_at = NULL, released_at = clock_timestamp()
         WHERE change = $1 AND engaged_at IS NOT NULL",
        kind
    );
    Ok(released.execute(&mut *tx).await?.rows_affected() > 0)
}
