//! Tables `stream_cursors` and `stream_losses`: how far each stream is folded, and what went missing.
//!
//! Owns what is known of a stream, and what a move of its cursor hangs on. Must never move one of a fold but by the
//! compare-and-swap of [`super::at_once`].

use super::{DeadLetter, Store, StoreError, Tx, acts, at_once, dead_letters};
use rolekeeper_domain::act::Act;

/// Where a stream's fold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the stream was made, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the last message folded; 0 for none.
    pub last_seq: i64,
    /// When the stream stored it, Unix nanoseconds; 0 when none was read.
    pub last_stored_ns: i64,
    /// Raised whenever the cursor is set by hand.
    pub epoch: i64,
    /// Store time of the newest message folded before the cursor was last set by hand, Unix nanoseconds; never lowered.
    pub newest_stored_ns: i64,
    /// Hash of the message at `last_seq`; none when none was read.
    pub last_hash: Option<i64>,
    /// Messages stored before this, Unix nanoseconds, may repeat earlier ones: a mirror was promoted. 0 when none was.
    pub repeats_until_ns: i64,
    /// That stream's duplicate window, in seconds.
    pub repeats_window_s: i64,
}

impl Cursor {
    /// Store time of the newest message ever folded, Unix nanoseconds; 0 when none was.
    #[must_use]
    pub fn newest_folded_ns(&self) -> i64 {
        self.newest_stored_ns.max(self.last_stored_ns)
    }
}

/// What happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// Deleted and made again.
    Recreated,
    /// Its newest message lies before the cursor: an older copy was restored.
    Rewound,
    /// Emptied beyond the cursor.
    Purged,
    /// Retention, or a partial purge, removed messages that were not folded yet.
    Overtaken,
    /// Messages in the middle are gone.
    Hole,
    /// The message at the cursor is another one than was folded.
    Replaced,
}

impl LossKind {
    /// As it stands in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recreated => "recreated",
            Self::Rewound => "rewound",
            Self::Purged => "purged",
            Self::Overtaken => "overtaken",
            Self::Hole => "hole",
            Self::Replaced => "replaced",
        }
    }
}

/// A loss that stands.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What happened.
    pub kind: String,
    /// What was expected and what was found.
    pub detail: String,
}

impl Store {
    /// Where the fold of `stream` stands; none before its first start.
    pub async fn cursor(&self, stream: &str) -> Result<Option<Cursor>, StoreError> {
        let row = sqlx::query_as!(
            Cursor,
            "SELECT created_ns, last_seq, last_stored_ns, epoch, newest_stored_ns, last_hash, repeats_until_ns, repeats_window_s
             FROM stream_cursors WHERE stream = $1",
            stream
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Writes the first cursor of a stream. Whoever comes second finds the first one's.
    pub async fn first_cursor(&self, stream: &str, created_ns: i64, last_seq: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO stream_cursors (stream, created_ns, last_seq, last_stored_ns)
             VALUES ($1, $2, $3, 0) ON CONFLICT (stream) DO NOTHING",
            stream,
            created_ns,
            last_seq
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The loss that stands on `stream`, if one does.
    pub async fn open_loss(&self, stream: &str) -> Result<Option<Loss>, StoreError> {
        let row = sqlx::query_as!(
            Loss,
            "SELECT kind, detail FROM stream_losses WHERE stream = $1 AND accepted_at IS NULL",
            stream
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Accepts the loss that stands on `stream`: the fold goes on right after `last_seq` of the stream made at
    /// `created_ns`, and revokes that waited for this are due. Answers false when no loss stands.
    pub async fn accept_loss(
        &self,
        stream: &str,
        created_ns: i64,
        last_seq: i64,
        (wake, act): (super::Wake, &Act),
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let accepted = sqlx::query!(
            "UPDATE stream_losses SET accepted_at = now() WHERE stream = $1 AND accepted_at IS NULL",
            stream
        );
        if accepted.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE stream_cursors
             SET created_ns = $2, last_seq = $3, last_stored_ns = 0, last_hash = NULL, epoch = epoch + 1,
                 moved_at = now(), newest_stored_ns = GREATEST(newest_stored_ns, last_stored_ns)
             WHERE stream = $1",
            stream,
            created_ns,
            last_seq
        )
        .execute(&mut tx)
        .await?;
        super::nominations::release_held(&mut tx).await?;
        acts::keep(
            &mut tx,
            act,
            &format!("accepted: the fold goes on behind {last_seq}"),
        )
        .await?;
        wake.send(&mut tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes the message right behind `from` a dead letter by hand, and moves the cursor past it. Returns false when the
    /// cursor is no longer there. A worker that folds the same message cannot commit any more.
    pub async fn skip(
        &self,
        stream: &str,
        from: &Cursor,
        letter: &DeadLetter<'_>,
        (wake, act): (super::Wake, &Act),
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let moved = sqlx::query!(
            "UPDATE stream_cursors
             SET last_seq = $4, last_stored_ns = $5, last_hash = NULL, epoch = epoch + 1, moved_at = now()
             WHERE stream = $1 AND created_ns = $6 AND last_seq = $2 AND epoch = $3",
            stream,
            from.last_seq,
            from.epoch,
            letter.seq,
            letter.stored_ns,
            from.created_ns
        );
        if moved.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        dead_letters::keep(&mut tx, stream, std::slice::from_ref(letter)).await?;
        acts::keep(&mut tx, act, "skipped: the message is a dead letter").await?;
        wake.send(&mut tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Writes a loss down that was judged by the cursor `at`, unless one stands already. From here on the stream's fold is
/// stopped. Returns false, with nothing written, when the cursor is another one by now.
///
/// # Errors
/// Postgres does not answer.
pub async fn report_loss(
    tx: &mut Tx<'_>,
    stream: &str,
    at: &Cursor,
    kind: LossKind,
    detail: &str,
) -> Result<bool, StoreError> {
    let same = sqlx::query_scalar!(
        r#"SELECT 1 AS "same!" FROM stream_cursors
           WHERE stream = $1 AND created_ns = $2 AND last_seq = $3 AND epoch = $4 FOR UPDATE"#,
        stream,
        at.created_ns,
        at.last_seq,
        at.epoch
    );
    if same.fetch_optional(&mut *tx).await?.is_none() {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO stream_losses (stream, kind, detail) VALUES ($1, $2, $3)
         ON CONFLICT (stream) WHERE accepted_at IS NULL DO NOTHING",
        stream,
        kind.as_str(),
        detail
    )
    .execute(&mut *tx)
    .await?;
    Ok(true)
}

/// Where a cursor is to go, and what must hold for it.
#[derive(Clone, Copy, Debug)]
pub struct Move<'m> {
    /// Whose cursor.
    pub stream: &'m str,
    /// Where the caller believes it to be.
    pub from: &'m Cursor,
    /// Sequence of the last message folded with it.
    pub last_seq: i64,
    /// When the stream stored that one, Unix nanoseconds.
    pub last_stored_ns: i64,
    /// Hash of that one.
    pub last_hash: Option<i64>,
    /// Fingerprint of the rules that it was folded by.
    pub rules: &'m str,
}

/// Moves the cursor, first statement of a fold's transaction. False when the cursor is not where the caller
/// believes it to be, or other rules are in force: then nothing may be committed.
///
/// # Errors
/// Postgres does not answer.
pub async fn advance(tx: &mut Tx<'_>, to: &Move<'_>) -> Result<bool, StoreError> {
    at_once::move_and_count(tx, to, &[], &[], &[]).await
}
