//! Columns `deleted`, `saved_again_ns`, `changed_ns` and `owner_id` of `playlists`: the lifecycle of a playlist.
//!
//! Owns their reading. Must never be used for a batch without retractions, saves and deletions.

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
    /// Time at which the stream stored the newest message that saved or deleted it, Unix nanoseconds; `None` without one.
    pub changed_ns: Option<i64>,
    /// The owner, once the playlist was saved.
    pub owner: Option<String>,
}

/// The lives of these playlists; an unknown playlist is in its first. The rows stay locked until the transaction ends.
pub async fn of(tx: &mut Tx<'_>, playlists: &[&str]) -> Result<HashMap<String, Lifecycle>, StoreError> {
    let rows = sqlx::query!(
        "SELECT playlist_id, deleted, saved_again_ns, changed_ns, owner_id FROM playlists
         WHERE playlist_id = ANY($1::text[]) ORDER BY playlist_id FOR UPDATE",
        playlists as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .map(|row| {
            let life = Lifecycle {
                deleted: row.deleted,
                since_ns: row.saved_again_ns,
                changed_ns: row.changed_ns,
                owner: row.owner_id,
            };
            (row.playlist_id, life)
        })
        .collect())
}
