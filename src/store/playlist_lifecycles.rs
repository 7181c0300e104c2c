//! Columns `deleted`, `saved_again_ns` and `owner_id` of `playlists`: the lifecycle of a playlist.
//!
//! Owns the start of a life after a deletion. Must never be used for a batch without retractions, saves and deletions.

use std::collections::HashMap;

use super::{StoreError, Tx};

/// The current life of a playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// The playlist is deleted.
    pub deleted: bool,
    /// Time at which the stream stored the message that saved it after a deletion, Unix nanoseconds; `None` in its
    /// first life.
    pub since_ns: Option<i64>,
    /// The owner, once the playlist was saved.
    pub owner: Option<String>,
}

/// The lives of these playlists; an unknown playlist is in its first. The rows stay locked until the transaction ends.
pub async fn of(tx: &mut Tx<'_>, playlists: &[&str]) -> Result<HashMap<String, Lifecycle>, StoreError> {
    let rows = sqlx::query!(
        "SELECT playlist_id, deleted, saved_again_ns, owner_id FROM playlists
         WHERE playlist_id = ANY($1::text[]) ORDER BY playlist_id FOR UPDATE",
        playlists as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    let life = |deleted, since_ns, owner| Lifecycle {
        deleted,
        since_ns,
        owner,
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.playlist_id,
                life(row.deleted, row.saved_again_ns, row.owner_id),
            )
        })
        .collect())
}

/// Stores the starts of lives, for playlists in order of their ids.
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
