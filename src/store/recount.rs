//! The data from which a partition is counted again: its base, its present counts, and what the fold did with single messages.
//!
//! Owns that all of it is of one moment. Must never read more than one partition at a time, nor write.

use std::collections::HashMap;

use super::{Base, Cursor, Store, StoreError, Tx, bases, history, playlists, replaced_events};
use rolekeeper_domain::date::unix_micros;
use rolekeeper_domain::replay::Life;
use rolekeeper_domain::tally::Playlist;

/// A partition at one moment.
#[derive(Debug)]
pub struct Counted {
    /// The cursor that the counts belong to.
    pub cursor: Cursor,
    /// Its base; none without one that belongs to the cursor.
    pub base: Option<Base>,
    /// The playlists at the base.
    pub before: Vec<(String, Life)>,
    /// The playlists now.
    pub now: Vec<(String, Life)>,
    /// Messages since the base that were counted otherwise than they read; true for those that deleted their playlist.
    pub replaced: HashMap<u64, bool>,
    /// Dead letters since the base, with the time at which the stream stored each, Unix microseconds: an earlier release could not
    /// read some that this one can, and another stream may have had their sequences.
    pub letters: HashMap<u64, i128>,
}

/// A row of either table.
struct Row {
    playlist_id: String,
    plays: i64,
    deleted: bool,
    owner_id: Option<String>,
    saved_again_ns: Option<i64>,
    changed_ns: Option<i64>,
}

impl Store {
    /// Reads a partition; none before the first start of the fold.
    ///
    /// # Errors
    /// Postgres does not respond.
    pub async fn partition(&self, partition: i16) -> Result<Option<Counted>, StoreError> {
        let mut tx = self.begin_to_read().await?;
        let Some(cursor) = history::cursor(&mut tx, "APP_EVENTS").await? else {
            return Ok(None);
        };
        let mut stored = Counted {
            cursor,
            base: bases::of(&mut tx, partition).await?,
            before: Vec::new(),
            now: Vec::new(),
            replaced: HashMap::new(),
            letters: HashMap::new(),
        };
        if let Some(base) = &stored.base {
            stored.before = before(&mut tx, partition).await?;
            stored.now = now(&mut tx, partition).await?;
            let range = (base.last_seq, cursor.last_seq);
            stored.replaced = replaced_events::between(&mut tx, (cursor.epoch, partition), range).await?;
            stored.letters = letters(&mut tx, range).await?;
        }
        tx.commit().await?;
        Ok(Some(stored))
    }
}

async fn before(tx: &mut Tx<'_>, partition: i16) -> Result<Vec<(String, Life)>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns FROM playlist_base_counts WHERE partition = $1",
        partition
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    rows.into_iter().map(Row::life).collect()
}

async fn now(tx: &mut Tx<'_>, partition: i16) -> Result<Vec<(String, Life)>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns FROM playlists WHERE partition = $1",
        partition
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    rows.into_iter().map(Row::life).collect()
}

/// The dead letters after one sequence and up to another that were not folded later.
async fn letters(tx: &mut Tx<'_>, (after, up_to): (i64, i64)) -> Result<HashMap<u64, i128>, StoreError> {
    let rows = sqlx::query!(
        "SELECT stream_seq, stored_at FROM dead_letters
         WHERE stream = 'APP_EVENTS' AND stream_seq > $1 AND stream_seq <= $2 AND handled IS DISTINCT FROM 'folded'",
        after,
        up_to
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .map(|row| (row.stream_seq.unsigned_abs(), unix_micros(row.stored_at)))
        .collect())
}

/// Moves rows that another client stored with a wrong partition to that of their playlist; returns the playlists.
pub(super) async fn move_home(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let moved = sqlx::query_scalar!(
        "UPDATE playlists p SET partition = home.partition
         FROM UNNEST($1::text[], $2::smallint[]) AS home (playlist_id, partition)
         WHERE p.playlist_id = home.playlist_id AND p.partition <> home.partition RETURNING p.playlist_id",
        ids as &[&str],
        &playlists::partitions(ids)
    );
    Ok(moved.fetch_all(&mut *tx).await?)
}

/// These playlists now, which stay locked until the transaction ends; an unknown one is left out.
pub(super) async fn locked(tx: &mut Tx<'_>, ids: &[&str]) -> Result<HashMap<String, Life>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns FROM playlists
         WHERE playlist_id = ANY($1::text[]) ORDER BY playlist_id FOR UPDATE",
        ids as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    rows.into_iter().map(Row::life).collect()
}

impl Row {
    fn life(self) -> Result<(String, Life), StoreError> {
        let life = Life {
            playlist: Playlist {
                plays: self.plays,
                deleted: self.deleted,
                owner: self.owner_id.map(playlists::owner).transpose()?,
                name: None,
            },
            saved_again_ns: self.saved_again_ns,
            changed_ns: self.changed_ns,
        };
        Ok((self.playlist_id, life))
    }
}
