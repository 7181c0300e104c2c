//! Table `dead_letters`: the letters that an operator reads, requeues and discards.
//!
//! Owns their pages and counts, and that a letter is handled once. Must never remove a letter: it is marked, and the retention
//! removes it.

use time::OffsetDateTime;

use super::{Store, StoreError, Tx, acts, cursors};
use rolekeeper_domain::act::Act;

/// Most waiting letters of one reason that are counted: a count must not read millions of rows.
pub const COUNTED_AT_MOST: i64 = 10_000;

/// The key of a letter: a stream that was created again, or restored, repeats sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterKey {
    /// Name of the stream.
    pub stream: String,
    /// Sequence of the message.
    pub seq: i64,
    /// Time at which the stream stored the message.
    pub stored_at: OffsetDateTime,
}

/// A stored letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its key.
    pub key: LetterKey,
    /// Subject of the message.
    pub subject: String,
    /// Reason from the closed list.
    pub reason: String,
    /// The fault.
    pub detail: String,
    /// The headers that say how the event is written, one a line; `None` for the plain form.
    pub headers: Option<String>,
    /// The stored part of the message.
    pub payload: Vec<u8>,
    /// Size of the whole message.
    pub size: i64,
    /// Time at which the fold read it.
    pub kept_at: OffsetDateTime,
    /// Host and process id of the worker that stored it; `None` for an earlier release.
    pub kept_by: Option<String>,
    /// How it was handled, and when; `None` while it waits.
    pub handled: Option<(String, OffsetDateTime)>,
}

impl Letter {
    /// Whether a part of the message was not stored.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        usize::try_from(self.size).ok() != Some(self.payload.len())
    }
}

/// How a letter was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Its message was folded.
    Folded,
    /// Its event had counted before.
    Duplicate,
    /// Later messages had replaced its effect.
    Superseded,
    /// It is a record of another tenant.
    OtherTenant,
    /// The operator discarded it.
    Discarded,
}

impl Handled {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Folded => "folded",
            Self::Duplicate => "duplicate",
            Self::Superseded => "superseded",
            Self::OtherTenant => "other_tenant",
            Self::Discarded => "discarded",
        }
    }
}

/// The letters to show.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Only those of this stream.
    pub stream: Option<String>,
    /// Only those with this reason.
    pub reason: Option<String>,
    /// Only those with this sequence.
    pub seq: Option<i64>,
    /// Also those that were handled.
    pub handled: bool,
}

/// The number of letters of one stream and reason.
#[derive(Clone, Debug)]
pub struct LetterCount {
    /// Name of the stream.
    pub stream: String,
    /// The reason.
    pub reason: String,
    /// Letters that wait for the operator; at most [`COUNTED_AT_MOST`] and one are counted.
    pub waiting: i64,
    /// All messages that became a dead letter in the time of retention, also those that are only counted.
    pub found: i64,
}

struct Row {
    stream: String,
    stream_seq: i64,
    stored_at: OffsetDateTime,
    subject: String,
    reason: String,
    detail: String,
    headers: Option<String>,
    payload: Vec<u8>,
    size_bytes: i64,
    kept_at: OffsetDateTime,
    kept_by: Option<String>,
    handled: Option<String>,
    handled_at: Option<OffsetDateTime>,
}

impl From<Row> for Letter {
    fn from(row: Row) -> Self {
        Self {
            key: LetterKey {
                stream: row.stream,
                seq: row.stream_seq,
                stored_at: row.stored_at,
            },
            subject: row.subject,
            reason: row.reason,
            detail: row.detail,
            headers: row.headers,
            payload: row.payload,
            size: row.size_bytes,
            kept_at: row.kept_at,
            kept_by: row.kept_by,
            handled: row.handled.zip(row.handled_at),
        }
    }
}

impl Store {
    /// One page of letters in the order of their keys, from behind `after`, at most `most`.
    pub async fn letters(
        &self,
        filter: &LetterFilter,
        after: Option<&LetterKey>,
        most: i64,
    ) -> Result<Vec<Letter>, StoreError> {
        let mut tx = self.begin_to_read().await?;
        // A kept plan, for any filter, would read the handled letters too.
        tx.plan_each_time().await?;
        let rows = sqlx::query_as!(
            Row,
            "SELECT stream, stream_seq, stored_at, subject, reason, detail, headers, payload, size_bytes, kept_at, kept_by, handled, handled_at
             FROM dead_letters
             WHERE ($1::text IS NULL OR stream = $1) AND ($2::text IS NULL OR reason = $2) AND ($3::bigint IS NULL OR stream_seq = $3)
                 AND ($4 OR handled IS NULL)
                 AND ($5::text IS NULL OR (stream, stream_seq, stored_at) > ($5, $6, $7))
             ORDER BY stream, stream_seq, stored_at LIMIT $8",
            filter.stream.as_deref(),
            filter.reason.as_deref(),
            filter.seq,
            filter.handled,
            after.map(|key| key.stream.as_str()),
            after.map(|key| key.seq),
            after.map(|key| key.stored_at),
            most
        );
        let rows = rows.fetch_all(&mut tx).await?;
        Ok(rows.into_iter().map(Letter::from).collect())
    }

    /// The numbers of letters, by stream and reason; reasons without a waiting letter are included while their totals are kept.
    pub async fn letter_counts(&self, filter: &LetterFilter) -> Result<Vec<LetterCount>, StoreError> {
        let mut tx = self.begin_look_ups().await?;
        let rows = sqlx::query_as!(
            LetterCount,
            r#"SELECT t.stream, t.reason, t.found AS "found!", w.waiting AS "waiting!"
               FROM (SELECT stream, reason, sum(total)::bigint AS found FROM dead_letter_totals
                     WHERE ($1::text IS NULL OR stream = $1) AND ($2::text IS NULL OR reason = $2) GROUP BY stream, reason) AS t
               CROSS JOIN LATERAL (SELECT count(*) AS waiting FROM (
                   SELECT FROM dead_letters d WHERE d.stream = t.stream AND d.reason = t.reason AND d.handled IS NULL LIMIT $3) AS few) AS w
               ORDER BY t.stream, t.reason"#,
            filter.stream.as_deref(),
            filter.reason.as_deref(),
            COUNTED_AT_MOST + 1
        );
        Ok(rows.fetch_all(&mut tx).await?)
    }

    /// The places to which the operator set the cursor of a stream while a loss stood, and when: messages from there on were
    /// folded again.
    pub async fn set_back(&self, stream: &str) -> Result<Vec<(OffsetDateTime, i64)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT acted_at, (arguments->>'continues_at')::bigint AS "continues_at!" FROM operator_acts
               WHERE command = 'accept-stream' AND arguments->>'stream' = $1 AND arguments ? 'continues_at'"#,
            stream
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.acted_at, row.continues_at)).collect())
    }

    /// Marks letters as discarded; returns those that were not handled before.
    pub async fn discard_letters(&self, keys: &[LetterKey], act: &Act) -> Result<Vec<LetterKey>, StoreError> {
        let mut tx = self.begin().await?;
        let mut discarded = Vec::new();
        for key in keys {
            if lock(&mut tx, key).await? == Some(None) {
                mark(&mut tx, key, Handled::Discarded, None).await?;
                discarded.push(key.clone());
            }
        }
        if !discarded.is_empty() {
            acts::keep(&mut tx, act, &format!("discarded {}", discarded.len())).await?;
        }
        tx.commit().await?;
        crash_point!("discarded");
        Ok(discarded)
    }
}

/// Stops the fold of every stream until the transaction ends, and reads the epoch of the cursor of `stream`, and whether the
/// rules with this fingerprint are in force. Must be the first statement of the transaction, since a batch that is being folded
/// ends first, and the next one waits.
///
/// # Errors
/// Postgres does not respond.
pub async fn stop_folds(
    tx: &mut Tx<'_>,
    stream: &str,
    fingerprint: &str,
) -> Result<Option<(i64, bool)>, StoreError> {
    cursors::stop_folds(tx).await?;
    let row = sqlx::query!(
        r#"SELECT epoch, EXISTS (SELECT FROM rules_in_force WHERE fingerprint = $2) AS "same_rules!"
           FROM stream_cursors WHERE stream = $1"#,
        stream,
        fingerprint
    );
    let row = row.fetch_optional(&mut *tx).await?;
    Ok(row.map(|row| (row.epoch, row.same_rules)))
}

/// Locks a letter until the transaction ends. Returns what was done with it; the outer `None` means that there is no such letter.
///
/// # Errors
/// Postgres does not respond.
pub async fn lock(tx: &mut Tx<'_>, key: &LetterKey) -> Result<Option<Option<String>>, StoreError> {
    let row = sqlx::query_scalar!(
        "SELECT handled FROM dead_letters WHERE stream = $1 AND stream_seq = $2 AND stored_at = $3 FOR UPDATE",
        key.stream,
        key.seq,
        key.stored_at
    );
    Ok(row.fetch_optional(&mut *tx).await?)
}

/// The stored payload of the letter that was folded under this event id, if any.
///
/// # Errors
/// Postgres does not respond.
pub async fn folded_event(tx: &mut Tx<'_>, event_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query_scalar!("SELECT payload FROM dead_letters WHERE event_id = $1", event_id);
    Ok(row.fetch_optional(&mut *tx).await?)
}

/// Marks a letter as handled; a folded one with the id of its event.
///
/// # Errors
/// Postgres does not respond.
pub async fn mark(
    tx: &mut Tx<'_>,
    key: &LetterKey,
    handled: Handled,
    event_id: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE dead_letters SET handled = $4, handled_at = now(), event_id = $5
         WHERE stream = $1 AND stream_seq = $2 AND stored_at = $3",
        key.stream,
        key.seq,
        key.stored_at,
        handled.as_str(),
        event_id
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Removes a letter that names an erased user.
///
/// # Errors
/// Postgres does not respond.
pub async fn remove(tx: &mut Tx<'_>, key: &LetterKey) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM dead_letters WHERE stream = $1 AND stream_seq = $2 AND stored_at = $3",
        key.stream,
        key.seq,
        key.stored_at
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores the act of a requeue in its transaction.
///
/// # Errors
/// Postgres does not respond.
pub async fn acted(tx: &mut Tx<'_>, act: &Act, outcome: &str) -> Result<(), StoreError> {
    acts::keep(tx, act, outcome).await
}
