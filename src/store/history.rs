//! The data that a replay of a stream needs: the counts at the cursor, and what the fold did with single messages.
//!
//! Owns a transaction that sees one moment and cannot write, so that counts and cursor belong together. Must never read a table at
//! once: it is walked in slices, by key.

use std::collections::{HashMap, HashSet};

use time::OffsetDateTime;

use super::{Cursor, Store, StoreError, Tx, erasures, playlists};
use rolekeeper_domain::tally::Playlist;

/// Rows of one slice.
const SLICE: i64 = 5_000;

/// A playlist, with the time at which it was last saved after a deletion, Unix nanoseconds.
#[derive(Debug)]
pub struct Counted {
    /// Its id.
    pub id: String,
    /// Its state; without its name.
    pub playlist: Playlist,
    /// When the stream stored that message; none in its first life.
    pub saved_again_ns: Option<i64>,
}

impl Store {
    /// The erased ones of these users.
    ///
    /// # Errors
    /// Users were erased, and the erasure key is missing or another one.
    pub async fn erased_among(&self, users: &[&str]) -> Result<HashSet<String>, StoreError> {
        let mut tx = self.begin_to_read().await?;
        erasures::among(&mut tx, self.erasure_key(), users).await
    }
}

/// The cursor of `stream`.
pub async fn cursor(tx: &mut Tx<'_>, stream: &str) -> Result<Option<Cursor>, StoreError> {
    let row = sqlx::query_as!(
        Cursor,
        "SELECT created_ns, last_seq, last_stored_ns, epoch, newest_stored_ns, last_hash, dedup_until_ns, duplicate_window_s
         FROM stream_cursors WHERE stream = $1",
        stream
    );
    Ok(row.fetch_optional(&mut *tx).await?)
}

/// The next playlists after this id, in order of id; none behind the last one.
pub async fn playlists(tx: &mut Tx<'_>, after: &str) -> Result<Vec<Counted>, StoreError> {
    let rows = sqlx::query!(
        "SELECT playlist_id, plays, deleted, owner_id, saved_again_ns FROM playlists
         WHERE playlist_id > $1 ORDER BY playlist_id LIMIT $2",
        after,
        SLICE
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    rows.map(|row| {
        let owner = row.owner_id.map(playlists::owner);
        Ok(Counted {
            id: row.playlist_id,
            playlist: Playlist {
                plays: row.plays,
                deleted: row.deleted,
                owner: owner.transpose()?,
                name: None,
            },
            saved_again_ns: row.saved_again_ns,
        })
    })
    .collect()
}

/// The primaries of the next linked ids after this one, in order of id; none behind the last one.
pub async fn links(tx: &mut Tx<'_>, after: &str) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT alias, primary_id FROM identities WHERE alias > $1 ORDER BY alias LIMIT $2",
        after,
        SLICE
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    Ok(rows.into_iter().map(|row| (row.alias, row.primary_id)).collect())
}

/// Messages of `stream` from `from` on, stored since `since`, that are dead letters and were not folded later.
pub async fn dead_letters(
    tx: &mut Tx<'_>,
    stream: &str,
    from: i64,
    since: OffsetDateTime,
) -> Result<HashMap<u64, String>, StoreError> {
    let rows = sqlx::query!(
        "SELECT stream_seq, reason FROM dead_letters
         WHERE stream = $1 AND stream_seq >= $2 AND stored_at >= $3 AND handled IS DISTINCT FROM 'folded'",
        stream,
        from,
        since
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .map(|row| (row.stream_seq.unsigned_abs(), row.reason))
        .collect())
}

/// When the first retraction of each of these plays was counted.
pub async fn retracted(
    tx: &mut Tx<'_>,
    plays: &[&str],
) -> Result<HashMap<String, OffsetDateTime>, StoreError> {
    let rows = sqlx::query!(
        "SELECT retracted_id, counted_at FROM retractions WHERE retracted_id = ANY($1::text[])",
        plays as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows.map(|row| (row.retracted_id, row.counted_at)).collect())
}

/// A time at which all messages of a stream before `first` were counted; none where no mark of the cursor tells one.
pub async fn counted_up_to(
    tx: &mut Tx<'_>,
    (stream, created_ns): (&str, i64),
    first: i64,
) -> Result<Option<OffsetDateTime>, StoreError> {
    let at = sqlx::query_scalar!(
        "SELECT min(marked_at) FROM cursor_marks WHERE stream = $1 AND created_ns = $2 AND last_seq >= $3",
        stream,
        created_ns,
        first - 1
    );
    Ok(at.fetch_one(&mut *tx).await?)
}
