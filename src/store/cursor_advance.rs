//! Table `stream_cursors`: the move of a fold's cursor, alone or with the counts of plays in one statement.
//!
//! Owns the compare-and-swap that makes folding exactly once. Must never move a cursor that is not where the caller
//! expects it, move it without the counts, nor be used when a play could change a role.

use super::cursors::Cursor;
use super::deadline::DEADLINE;
use super::{LockGuard, StoreError, Tx};

/// A move of a cursor with its conditions.
#[derive(Clone, Copy, Debug)]
pub struct Move<'m> {
    /// The stream.
    pub stream: &'m str,
    /// The cursor as the caller expects it.
    pub from: &'m Cursor,
    /// Sequence of the last message folded in this move.
    pub last_seq: i64,
    /// Time at which the stream stored that message, Unix nanoseconds.
    pub last_stored_ns: i64,
    /// Hash of that message.
    pub last_hash: Option<i64>,
    /// Fingerprint of the rules used by the fold.
    pub rules: &'m str,
}

/// Moves the cursor, as the first statement of a fold's transaction. Returns false if the cursor is not where the
/// caller expects it, or other rules are in force: then the caller must not commit.
///
/// # Errors
/// Postgres does not respond.
pub async fn advance(tx: &mut Tx<'_>, to: &Move<'_>) -> Result<bool, StoreError> {
    move_and_count(tx, to, &[], &[], &[]).await
}

impl LockGuard {
    /// Moves the cursor and adds plays to playlists in one round trip: the statement is its own transaction. Returns
    /// false and changes nothing if the cursor must not move (see [`advance`]), if a playlist does not
    /// exist yet, or if the count of a playlist with an owner would cross one of the `thresholds` (ascending).
    ///
    /// # Errors
    /// Postgres does not respond. Only Postgres knows then whether the cursor moved.
    pub async fn count_on_fast_path(
        &mut self,
        to: &Move<'_>,
        playlists: &[&str],
        deltas: &[i64],
        thresholds: &[i64],
    ) -> Result<bool, StoreError> {
        let moved = move_and_count(
            &mut self.session.once(DEADLINE),
            to,
            playlists,
            deltas,
            thresholds,
        )
        .await?;
        crash_point!("counted");
        Ok(moved)
    }
}

/// The same on any connection; without playlists it moves only the cursor.
///
/// The statement reads the counts before it compares the cursor. That is safe: another fold that counted meanwhile
/// moved the cursor in the same transaction, and the comparison sees the newest cursor.
async fn move_and_count(
    tx: &mut Tx<'_>,
    to: &Move<'_>,
    playlists: &[&str],
    deltas: &[i64],
    thresholds: &[i64],
) -> Result<bool, StoreError> {
    let moved = sqlx::query_scalar!(
        r#"WITH played AS MATERIALIZED (
               SELECT d.playlist_id, d.delta,
                   p.owner_id IS NULL OR p.deleted
                   OR width_bucket(p.plays, $3) = width_bucket(p.plays + d.delta, $3) AS stays
               FROM UNNEST($1::text[], $2::bigint[]) AS d(playlist_id, delta)
               JOIN playlists p ON p.playlist_id = d.playlist_id
           ), moved AS (
               UPDATE stream_cursors SET last_seq = $8, last_stored_ns = $9, last_hash = $11, moved_at = now()
               WHERE stream = $4 AND created_ns = $5 AND last_seq = $6 AND epoch = $7
                 AND EXISTS (SELECT 1 FROM rules_in_force WHERE fingerprint = $10)
                 AND (SELECT count(*) FILTER (WHERE stays) FROM played) = cardinality($1)
               RETURNING 1
           ), counted AS (
               -- only the newest row shows a playlist that was erased after the read: it is deleted
               UPDATE playlists p SET plays = p.plays + CASE WHEN p.deleted THEN 0 ELSE d.delta END
               FROM played d WHERE p.playlist_id = d.playlist_id AND EXISTS (SELECT FROM moved)
           )
           SELECT EXISTS (SELECT FROM moved) AS "moved!""#,
        playlists as &[&str],
        deltas,
        thresholds,
        to.stream,
        to.from.created_ns,
        to.from.last_seq,
        to.from.epoch,
        to.last_seq,
        to.last_stored_ns,
        to.rules,
        to.last_hash
    );
    Ok(moved.fetch_one(&mut *tx).await?)
}
