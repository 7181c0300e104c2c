//! Columns `deleted` and `saved_again_ns` of `playlists`: which life a playlist is in.
//!
//! Owns when a life after a deletion began. Must never be asked for a batch without retractions, saves and deletions.

use std::collections::HashMap;

use super::{StoreError, Tx};

/// The life of a playlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// It is deleted.
    pub deleted: bool,
    /// When the stream stored the message that saved it after a deletion, Unix nanoseconds; none in its first life.
    pub since_ns: Option<i64>,
}

/// The lives of these playlists; one that is not known is in its first. They stay locked until the transaction ends.
pub async fn of(tx: &mut Tx<'_>, playlists: &[&str]) -> Result<HashMap<String, Life>, StoreError> {
    let rows = sqlx::query!(
        "SELECT playlist_id, deleted, saved_again_ns FROM playlists
         WHERE playlist_id = ANY($1::text[]) ORDER BY playlist_id FOR UPDATE",
        playlists as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    let life = |deleted, since_ns| Life { deleted, since_ns };
    Ok(rows
        .into_iter()
        .map(|row| (row.playlist_id, life(row.deleted, row.saved_again_ns)))
        .collect())
}

/// Notes when lives began, of playlists in order of their ids.
pub async fn begun(tx: &mut Tx<'_>, playlists: &[&str], since_ns: &[i64]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE playlists p SET saved_again_ns = l.since_ns FROM UNNEST($1::text[], $2::bigint[]) AS l(playlist_id, since_ns)
         WHERE p.playlist_id = l.playlist_id",
        playlists as &[&str],
        since_ns
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
