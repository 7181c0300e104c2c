//! Table `dead_letters`: the letters that name a user, for an erasure and an export.
//!
//! Owns their search, which compares bytes in Postgres and the whole id here. Must never remove or show a letter that names
//! another user alone.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::{Store, StoreError, Tx, pause};
use rolekeeper_domain::mention;

/// Dead letters searched in one transaction.
const AT_ONCE: i64 = 2_000;
/// Age of the letters searched again under the lock: longer than the batches take, and than a running batch of the fold.
const MEANWHILE: Duration = Duration::from_mins(15);

/// A letter that may name a user.
struct Candidate {
    stream: String,
    seq: i64,
    stored_at: OffsetDateTime,
    text: Vec<u8>,
}

/// Removes the letters of the last minutes that name a user by these spellings: those that came after [`Store::forget_letters`].
/// Returns their number.
pub(super) async fn forget_recent(tx: &mut Tx<'_>, named: &[Vec<u8>]) -> Result<u64, StoreError> {
    let found = sqlx::query_as!(
        Candidate,
        r#"SELECT stream, stream_seq AS seq, stored_at, payload || convert_to(' ' || detail || ' ' || subject || ' ' || coalesce(headers, ''), 'UTF8') AS "text!"
           FROM dead_letters
           WHERE kept_at > now() - $2::double precision * interval '1 second' AND EXISTS (
               SELECT FROM UNNEST($1::bytea[]) AS named(id)
               WHERE position(id IN payload || convert_to(' ' || detail || ' ' || subject || ' ' || coalesce(headers, ''), 'UTF8')) > 0)"#,
        named,
        MEANWHILE.as_secs_f64()
    );
    let found = found.fetch_all(&mut *tx).await?;
    remove(tx, named, found).await
}

/// Removes those of the letters that name the user.
async fn remove(tx: &mut Tx<'_>, named: &[Vec<u8>], mut found: Vec<Candidate>) -> Result<u64, StoreError> {
    found.retain(|letter| names(&letter.text, named));
    if found.is_empty() {
        return Ok(0);
    }
    let streams: Vec<&str> = found.iter().map(|letter| letter.stream.as_str()).collect();
    let seqs: Vec<i64> = found.iter().map(|letter| letter.seq).collect();
    let stored: Vec<OffsetDateTime> = found.iter().map(|letter| letter.stored_at).collect();
    let removed = sqlx::query!(
        "DELETE FROM dead_letters d USING UNNEST($1::text[], $2::bigint[], $3::timestamptz[]) AS named(stream, seq, stored_at)
         WHERE d.stream = named.stream AND d.stream_seq = named.seq AND d.stored_at = named.stored_at",
        &streams as &[&str],
        &seqs,
        &stored
    );
    Ok(removed.execute(&mut *tx).await?.rows_affected())
}

fn names(text: &[u8], named: &[Vec<u8>]) -> bool {
    named.iter().any(|id| mention::names(text, id))
}

impl Store {
    /// Removes the letters that name users by these spellings, in batches and without blocking others, since there may be
    /// millions. Returns the number of removed letters; none if `unless_paused` and rolekeeper is paused. Letters that arrive
    /// meanwhile are left to [`forget_recent`].
    pub(super) async fn forget_letters(
        &self,
        named: &[Vec<u8>],
        unless_paused: bool,
    ) -> Result<Option<u64>, StoreError> {
        let (mut after, mut gone) = (OffsetDateTime::UNIX_EPOCH, 0);
        loop {
            let mut tx = self.begin().await?;
            // A batch ends between two times, since the letters of one batch have the same time.
            let until = sqlx::query_scalar!(
                "SELECT max(kept_at) FROM (SELECT kept_at FROM dead_letters WHERE kept_at > $1 ORDER BY kept_at LIMIT $2) AS batch",
                after,
                AT_ONCE
            );
            let Some(until) = until.fetch_one(&mut tx).await? else {
                return Ok(Some(gone));
            };
            let found = sqlx::query_as!(
                Candidate,
                r#"SELECT stream, stream_seq AS seq, stored_at, payload || convert_to(' ' || detail || ' ' || subject || ' ' || coalesce(headers, ''), 'UTF8') AS "text!"
                   FROM dead_letters WHERE kept_at > $2 AND kept_at <= $3 AND EXISTS (
                       SELECT FROM UNNEST($1::bytea[]) AS named(id)
                       WHERE position(id IN payload || convert_to(' ' || detail || ' ' || subject || ' ' || coalesce(headers, ''), 'UTF8')) > 0)"#,
                named,
                after,
                until
            );
            let found = found.fetch_all(&mut tx).await?;
            if unless_paused && !pause::permits(&mut tx).await? {
                return Ok(None);
            }
            gone += remove(&mut tx, named, found).await?;
            tx.commit().await?;
            crash_point!("batch_removed");
            after = until;
        }
    }

    /// Dead letters that name a user, read in batches.
    pub(super) async fn letters_naming(&self, named: &[Vec<u8>]) -> Result<Vec<Value>, StoreError> {
        let (mut after, mut letters) = (OffsetDateTime::UNIX_EPOCH, Vec::new());
        loop {
            let until = sqlx::query_scalar!(
                "SELECT max(kept_at) FROM (SELECT kept_at FROM dead_letters WHERE kept_at > $1 ORDER BY kept_at LIMIT $2) AS batch",
                after,
                AT_ONCE
            );
            let Some(until) = until.fetch_one(&self.pool).await? else {
                return Ok(letters);
            };
            let found = sqlx::query!(
                r#"SELECT to_jsonb(t) || jsonb_build_object('payload', encode(payload, 'escape')) AS "row!",
                       payload || convert_to(' ' || detail || ' ' || subject || ' ' || coalesce(headers, ''), 'UTF8') AS "text!"
                   FROM dead_letters t WHERE kept_at > $2 AND kept_at <= $3 AND EXISTS (
                       SELECT FROM UNNEST($1::bytea[]) AS named(id)
                       WHERE position(id IN payload || convert_to(' ' || detail || ' ' || subject || ' ' || coalesce(headers, ''), 'UTF8')) > 0)
                   ORDER BY kept_at, stream, stream_seq"#,
                named,
                after,
                until
            );
            let found = found.fetch_all(&self.pool).await?.into_iter();
            letters.extend(
                found
                    .filter(|letter| names(&letter.text, named))
                    .map(|letter| letter.row),
            );
            after = until;
        }
    }
}
