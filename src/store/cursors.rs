//! Tables `stream_cursors` and `stream_losses`: how far each stream is folded, and its losses.
//!
//! Owns the state of a stream, and the acts of an operator on it. Must never move the cursor of a fold: that is the
//! compare-and-swap of [`super::cursor_advance`].

use super::{DeadLetter, Store, StoreError, Tx, acts, dead_letters};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::sequence_check::Folded;
use rolekeeper_domain::stream_loss::StreamLoss;

/// The cursor of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Time at which the stream was created, Unix nanoseconds.
    pub created_ns: i64,
    /// Sequence of the last folded message; 0 for none.
    pub last_seq: i64,
    /// Time at which the stream stored that message, Unix nanoseconds; 0 if none was read.
    pub last_stored_ns: i64,
    /// Raised whenever an operator sets the cursor, a loss is recorded, or other rules come into force: a worker that
    /// read it before can no longer move the cursor.
    pub epoch: i64,
    /// Store time of the newest message folded before an operator last set the cursor, Unix nanoseconds; never lowered.
    pub newest_stored_ns: i64,
    /// Hash of the message at `last_seq`; `None` if none was read.
    pub last_hash: Option<i64>,
    /// Messages stored before this time, Unix nanoseconds, may duplicate earlier ones, because a mirror was promoted. 0
    /// without a promotion.
    pub dedup_until_ns: i64,
    /// Duplicate window of the promoted stream, in seconds.
    pub duplicate_window_s: i64,
}

/// Lets no fold run until the transaction ends: a running batch ends first, and the next one waits. Each other writer of counts calls
/// it before it takes any other lock, so none of them waits for a lock of another one.
pub async fn stop_folds(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("LOCK TABLE stream_cursors IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await?;
    Ok(())
}

impl Cursor {
    /// Store time of the newest message ever folded, Unix nanoseconds; 0 for none.
    #[must_use]
    pub fn newest_folded_ns(&self) -> i64 {
        self.newest_stored_ns.max(self.last_stored_ns)
    }

    /// The position that the sequence check compares with the stream.
    #[must_use]
    pub fn folded(&self) -> Folded {
        Folded {
            created_ns: self.created_ns,
            last_seq: self.last_seq.unsigned_abs(),
            last_stored_ns: self.last_stored_ns,
        }
    }
}

/// A recorded loss that stops the fold.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Kind of the loss.
    pub kind: String,
    /// The expected and the actual state.
    pub detail: String,
}

impl Store {
    /// The cursor of `stream`; `None` before its first start.
    pub async fn cursor(&self, stream: &str) -> Result<Option<Cursor>, StoreError> {
        let row = sqlx::query_as!(
            Cursor,
            "SELECT created_ns, last_seq, last_stored_ns, epoch, newest_stored_ns, last_hash, dedup_until_ns, duplicate_window_s
             FROM stream_cursors WHERE stream = $1",
            stream
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Writes the first cursor of a stream, unless there is one.
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
        crash_point!("first");
        Ok(())
    }

    /// The recorded loss of `stream`, if any.
    pub async fn open_loss(&self, stream: &str) -> Result<Option<Loss>, StoreError> {
        let row = sqlx::query_as!(
            Loss,
            "SELECT kind, detail FROM stream_losses WHERE stream = $1 AND accepted_at IS NULL",
            stream
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }

    /// Accepts the loss of `stream`: the fold continues right after `last_seq` of the stream created at `created_ns`,
    /// and the revokes held for the loss become due. Returns false without a loss, or if the cursor was set since `from` was read.
    pub async fn accept_loss(
        &self,
        stream: &str,
        from: &Cursor,
        (created_ns, last_seq): (i64, i64),
        (channel, act): (super::Channel, &Act),
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let accepted = sqlx::query!(
            "UPDATE stream_losses SET accepted_at = now() WHERE stream = $1 AND accepted_at IS NULL",
            stream
        );
        if accepted.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let set = sqlx::query!(
            "UPDATE stream_cursors
             SET created_ns = $2, last_seq = $3, last_stored_ns = 0, last_hash = NULL, epoch = epoch + 1,
                 moved_at = now(), newest_stored_ns = GREATEST(newest_stored_ns, last_stored_ns)
             WHERE stream = $1 AND created_ns = $4 AND last_seq = $5 AND epoch = $6",
            stream,
            created_ns,
            last_seq,
            from.created_ns,
            from.last_seq,
            from.epoch
        );
        if set.execute(&mut tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        super::work_queue::release_held(&mut tx).await?;
        acts::keep(
            &mut tx,
            act,
            &format!("accepted: the fold goes on behind {last_seq}"),
        )
        .await?;
        channel.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("loss_accepted");
        Ok(true)
    }

    /// Makes the message right behind `from` a dead letter, and moves the cursor past it. Returns false if the cursor
    /// has moved. A worker that is folding the same message can no longer commit.
    pub async fn skip(
        &self,
        stream: &str,
        from: &Cursor,
        letter: &DeadLetter<'_>,
        (channel, act): (super::Channel, &Act),
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
        channel.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("skipped");
        Ok(true)
    }
}

/// Records a loss that was found at the cursor `at`, unless one is recorded. The fold of the stream is stopped from
/// then on: a frozen worker that read the cursor before cannot commit. Returns false and writes nothing if the cursor has
/// changed.
///
/// # Errors
/// Postgres does not respond.
pub async fn report_loss(
    tx: &mut Tx<'_>,
    stream: &str,
    at: &Cursor,
    loss: &StreamLoss,
) -> Result<bool, StoreError> {
    let same = sqlx::query!(
        "UPDATE stream_cursors SET epoch = epoch + 1
         WHERE stream = $1 AND created_ns = $2 AND last_seq = $3 AND epoch = $4",
        stream,
        at.created_ns,
        at.last_seq,
        at.epoch
    );
    if same.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO stream_losses (stream, kind, detail) VALUES ($1, $2, $3)
         ON CONFLICT (stream) WHERE accepted_at IS NULL DO NOTHING",
        stream,
        loss.kind.as_str(),
        loss.detail
    )
    .execute(&mut *tx)
    .await?;
    Ok(true)
}
