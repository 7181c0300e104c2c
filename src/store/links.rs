//! The rows of a linked id: what moves to the primary, and what ends.
//!
//! Owns the list of tables that a link changes. Must never change a playlist or a song: these stay with the id that owns them,
//! so that an unlinked id has its own again. Must never remove a write of ours, whose late record has to be recognized.

use time::OffsetDateTime;

use super::{StoreError, Tx, users};
use rolekeeper_domain::evaluation::Carried;

/// Whether a response about the user was stored before.
pub async fn was_read(tx: &mut Tx<'_>, user: &str) -> Result<bool, StoreError> {
    let read = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM users WHERE user_id = $1 AND fetched_at IS NOT NULL AND gone_at IS NULL) AS "read!""#,
        user
    );
    Ok(read.fetch_one(&mut *tx).await?)
}

/// The roles that a search at Auth0 has shown at the user, whose profile was not read since.
pub async fn only_found(tx: &mut Tx<'_>, user: &str) -> Result<Vec<String>, StoreError> {
    let found = sqlx::query_scalar!(
        "SELECT role FROM assignments WHERE user_id = $1 AND has_role AND NOT adopted AND verified_at IS NULL",
        user
    );
    Ok(found.fetch_all(&mut *tx).await?)
}

/// Stores a role of the primary after a link.
pub async fn carry(tx: &mut Tx<'_>, primary: &str, role: &str, carried: &Carried) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments (user_id, role, wanted, has_role, adopted, since, below_since, suppressed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (user_id, role) DO UPDATE SET wanted = excluded.wanted, has_role = excluded.has_role, adopted = excluded.adopted,
             since = excluded.since, below_since = excluded.below_since, suppressed = excluded.suppressed",
        primary,
        role,
        carried.wanted,
        carried.has_role,
        carried.adopted,
        carried.since,
        carried.below_since,
        carried.suppressed
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Ends the rows of a linked id: its metadata at Auth0 is discarded, and it is no user any more. The newer of the two requested
/// display names counts for the primary.
pub async fn end_alias(
    tx: &mut Tx<'_>,
    alias: &str,
    primary: &str,
    asked_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO display_names AS d (user_id, request_id, requested, requested_at)
         SELECT $2, request_id, requested, requested_at FROM display_names WHERE user_id = $1 AND request_id IS NOT NULL AND refused IS NULL
         ON CONFLICT (user_id) DO UPDATE SET request_id = excluded.request_id, requested = excluded.requested,
             requested_at = excluded.requested_at, refused = NULL, refused_at = NULL, refusal = NULL
         WHERE d.requested_at IS NULL OR d.requested_at < excluded.requested_at",
        alias,
        primary
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "WITH named AS (DELETE FROM display_names WHERE user_id = $1),
              wrote AS (DELETE FROM display_name_writes WHERE user_id = $1),
              marked AS (DELETE FROM gone_users WHERE user_id = $1),
              -- a removal that came from here waits for its record
              theirs AS (DELETE FROM foreign_writes WHERE user_id = $1 AND NOT EXISTS (SELECT FROM removals WHERE came_from = $1)),
              removed AS (DELETE FROM removals WHERE user_id = $1),
              raced AS (DELETE FROM races WHERE user_id = $1),
              queued AS (DELETE FROM work_queue WHERE user_id = $1)
         DELETE FROM assignments WHERE user_id = $1",
        alias
    )
    .execute(&mut *tx)
    .await?;
    users::linked(tx, alias, asked_at).await
}

/// Removes the sums of these ids, whose playlists count for another id from now on; the next event sums them up again.
pub async fn forget_totals(tx: &mut Tx<'_>, users: &[String]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM owner_totals WHERE user_id = ANY($1::text[])", users)
        .execute(&mut *tx)
        .await?;
    Ok(())
}
