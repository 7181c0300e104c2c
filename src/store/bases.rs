//! Tables `playlist_bases` and `playlist_base_counts`: the counts of a partition as they were at one cursor.
//!
//! Owns that copy and cursor are of one moment, and that a base is gone once counts change otherwise than by the fold. Must never
//! copy more than one partition at a time.

use time::OffsetDateTime;

use super::{Store, StoreError, Tx};

/// The base of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The partition.
    pub partition: i16,
    /// Sequence of the last message that the counts include.
    pub last_seq: i64,
    /// When the stream stored that message, Unix nanoseconds; 0 for none.
    pub last_stored_ns: i64,
    /// When it was made.
    pub made_at: OffsetDateTime,
}

/// Lets no base be made until the transaction ends, waits for one that is being made, and removes the bases of these partitions.
/// Call it wherever counts change otherwise than by the fold.
pub async fn forget(tx: &mut Tx<'_>, partitions: &[i16]) -> Result<(), StoreError> {
    lock(tx).await?;
    sqlx::query!("DELETE FROM playlist_bases WHERE partition = ANY($1)", partitions)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// The same for the partition of this base, where its base is another one now, or is not to stay.
pub(super) async fn forget_unless(tx: &mut Tx<'_>, base: &Base, stays: bool) -> Result<(), StoreError> {
    lock(tx).await?;
    if stays && of(tx, base.partition).await? == Some(*base) {
        return Ok(());
    }
    forget(tx, &[base.partition]).await
}

/// The same, for the partitions of a user's playlists; and removes the user from the copies.
pub(super) async fn forget_owner(tx: &mut Tx<'_>, user: &str) -> Result<(), StoreError> {
    let partitions = sqlx::query_scalar!(
        "SELECT DISTINCT partition FROM playlists WHERE owner_id = $1",
        user
    );
    let partitions = partitions.fetch_all(&mut *tx).await?;
    forget(tx, &partitions).await?;
    sqlx::query!(
        "DELETE FROM playlist_bases b USING playlist_base_counts c WHERE c.owner_id = $1 AND b.partition = c.partition",
        user
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Excludes itself, and no reading.
async fn lock(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("LOCK TABLE playlist_bases IN SHARE UPDATE EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Lets no base be made until the transaction ends, and no `rebuild` compare counts that begins meanwhile. Returns whether one is under way.
pub(super) async fn is_rebuilding(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    lock(tx).await?;
    let held =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM rebuild WHERE holds_until > now()) AS "held!""#);
    Ok(held.fetch_one(&mut *tx).await?)
}

/// The base of a partition; none without one that belongs to the cursor.
pub async fn of(tx: &mut Tx<'_>, partition: i16) -> Result<Option<Base>, StoreError> {
    let base = sqlx::query_as!(
        Base,
        "SELECT b.partition, b.last_seq, b.last_stored_ns, b.made_at FROM playlist_bases b
         JOIN stream_cursors c ON c.stream = 'APP_EVENTS' AND c.created_ns = b.created_ns AND c.epoch = b.epoch
         WHERE b.partition = $1 AND b.last_seq <= c.last_seq",
        partition
    );
    Ok(base.fetch_optional(&mut *tx).await?)
}

impl Store {
    /// The bases that belong to the cursor, oldest first.
    pub async fn bases(&self) -> Result<Vec<Base>, StoreError> {
        let bases = sqlx::query_as!(
            Base,
            "SELECT b.partition, b.last_seq, b.last_stored_ns, b.made_at FROM playlist_bases b
             JOIN stream_cursors c ON c.stream = 'APP_EVENTS' AND c.created_ns = b.created_ns AND c.epoch = b.epoch
             WHERE b.last_seq <= c.last_seq ORDER BY b.last_seq, b.made_at, b.partition"
        );
        Ok(bases.fetch_all(&self.pool).await?)
    }

    /// Copies the counts of a partition with the cursor that they belong to, in place of its base. Rows that did not change since
    /// stay as they are. Returns false, and does nothing, while `rebuild` corrects counts: a base of wrong ones would keep them.
    ///
    /// # Errors
    /// Postgres does not respond, or takes too long; then the old base stays.
    pub async fn make_base(&self, partition: i16) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if is_rebuilding(&mut tx).await? {
            return Ok(false);
        }
        sqlx::query!(
            "WITH at AS (
                 SELECT created_ns, epoch, last_seq, last_stored_ns FROM stream_cursors WHERE stream = 'APP_EVENTS'
             ), live AS MATERIALIZED (
                 SELECT partition, playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns FROM playlists
                 WHERE partition = $1
             ), removed AS (
                 DELETE FROM playlist_base_counts b
                 WHERE b.partition = $1 AND NOT EXISTS (SELECT FROM live l WHERE l.playlist_id = b.playlist_id)
             ), copied AS (
                 INSERT INTO playlist_base_counts AS b (partition, playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns)
                 SELECT * FROM live
                 ON CONFLICT (partition, playlist_id) DO UPDATE
                 SET plays = excluded.plays, deleted = excluded.deleted, owner_id = excluded.owner_id,
                     saved_again_ns = excluded.saved_again_ns, changed_ns = excluded.changed_ns
                 WHERE (b.plays, b.deleted, b.owner_id, b.saved_again_ns, b.changed_ns) IS DISTINCT FROM
                     (excluded.plays, excluded.deleted, excluded.owner_id, excluded.saved_again_ns, excluded.changed_ns)
             )
             INSERT INTO playlist_bases (partition, created_ns, epoch, last_seq, last_stored_ns, playlists)
             SELECT $1, at.*, (SELECT count(*) FROM live) FROM at
             ON CONFLICT (partition) DO UPDATE
             SET created_ns = excluded.created_ns, epoch = excluded.epoch, last_seq = excluded.last_seq,
                 last_stored_ns = excluded.last_stored_ns, playlists = excluded.playlists, made_at = excluded.made_at",
            partition
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("made");
        Ok(true)
    }

    /// Waits for a base that is being made.
    pub async fn base_is_made(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        lock(&mut tx).await?;
        tx.commit().await?;
        crash_point!("passed");
        Ok(())
    }

    /// Removes bases before message `seq`; returns their number.
    pub async fn give_up_bases(&self, seq: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        lock(&mut tx).await?;
        let removed = sqlx::query!("DELETE FROM playlist_bases WHERE last_seq < $1", seq);
        let removed = removed.execute(&mut tx).await?.rows_affected();
        tx.commit().await?;
        crash_point!("given_up");
        Ok(removed)
    }
}
