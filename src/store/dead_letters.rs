//! Tables `dead_letters` and `dead_letter_totals`: messages that were not folded, stored for the operator.
//!
//! Owns the cap. Must never let a flood of invalid messages fill the disk, nor lose their number.

use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;

use super::{StoreError, Tx};
use crate::lifecycle;
use rolekeeper_domain::event::Reason;

/// Stored part of a message, in bytes.
pub const KEPT_BYTES: usize = 4 << 10;
/// Maximum number stored per stream, reason and hour; the rest is only counted.
pub const KEPT_PER_HOUR: usize = 1_000;

/// A message that was not folded.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// Sequence in the stream.
    pub seq: i64,
    /// Subject in the stream.
    pub subject: &'a str,
    /// Reason from the closed list.
    pub reason: Reason,
    /// Description of the fault, with the field.
    pub detail: String,
    /// Its headers, if they say how the event is written.
    pub headers: Option<String>,
    /// The beginning of the payload.
    pub payload: &'a [u8],
    /// Bytes of the whole payload.
    pub size: usize,
    /// Time at which the stream stored it, Unix nanoseconds.
    pub stored_ns: i64,
}

/// Stores the letters of one batch, up to the cap, and counts all of them, in two round trips. Returns whether there
/// was space for all.
///
/// # Errors
/// Postgres does not respond, or refuses.
pub async fn keep(tx: &mut Tx<'_>, stream: &str, letters: &[DeadLetter<'_>]) -> Result<bool, StoreError> {
    if letters.is_empty() {
        return Ok(true);
    }
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for letter in letters {
        *counts.entry(letter.reason.as_str()).or_default() += 1;
    }
    let (reasons, numbers): (Vec<&str>, Vec<i64>) =
        counts.iter().map(|(reason, count)| (*reason, *count)).unzip();
    let totals = sqlx::query!(
        "INSERT INTO dead_letter_totals (stream, reason, hour, total)
         SELECT $1, n.reason, date_trunc('hour', now()), n.count FROM UNNEST($2::text[], $3::bigint[]) AS n(reason, count)
         ON CONFLICT (stream, reason, hour) DO UPDATE SET total = dead_letter_totals.total + excluded.total
         RETURNING reason, total",
        stream,
        &reasons as &[&str],
        &numbers
    );
    let mut room: HashMap<String, usize> = HashMap::new();
    for row in totals.fetch_all(&mut *tx).await? {
        let before = row.total - counts.get(row.reason.as_str()).copied().unwrap_or_default();
        let kept = usize::try_from(before).unwrap_or(usize::MAX);
        room.insert(row.reason, KEPT_PER_HOUR.saturating_sub(kept));
    }
    let has_room = |letter: &&DeadLetter<'_>| {
        let left = room.get_mut(letter.reason.as_str());
        left.filter(|left| **left > 0).map(|left| *left -= 1).is_some()
    };
    let kept: Vec<_> = letters.iter().filter(has_room).collect();
    insert(tx, stream, &kept).await?;
    Ok(kept.len() == letters.len())
}

async fn insert(tx: &mut Tx<'_>, stream: &str, letters: &[&DeadLetter<'_>]) -> Result<(), StoreError> {
    // Postgres' text refuses NUL: a subject may contain one, and a detail quotes the message.
    let text = |text: &str| text.replace('\0', "\u{fffd}");
    let subjects: Vec<String> = letters.iter().map(|letter| text(letter.subject)).collect();
    let details: Vec<String> = letters.iter().map(|letter| text(&letter.detail)).collect();
    let headers: Vec<Option<&str>> = letters.iter().map(|letter| letter.headers.as_deref()).collect();
    let seqs: Vec<i64> = letters.iter().map(|letter| letter.seq).collect();
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    let payloads: Vec<&[u8]> = letters
        .iter()
        .map(|letter| &letter.payload[..letter.payload.len().min(KEPT_BYTES)])
        .collect();
    let sizes: Vec<i64> = letters
        .iter()
        .map(|letter| i64::try_from(letter.size).unwrap_or(i64::MAX))
        .collect();
    let stored: Vec<OffsetDateTime> = letters.iter().map(|letter| stored_at(letter.stored_ns)).collect();
    sqlx::query!(
        "INSERT INTO dead_letters (stream, kept_by, stream_seq, subject, reason, detail, headers, payload, size_bytes, stored_at)
         SELECT $1, $10, * FROM UNNEST($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bigint[], $9::timestamptz[])
         -- folded again after a loss was accepted at an earlier message
         ON CONFLICT (stream, stream_seq, stored_at) DO UPDATE
         SET reason = excluded.reason, detail = excluded.detail, kept_at = excluded.kept_at, kept_by = excluded.kept_by
         WHERE dead_letters.handled IS NULL OR dead_letters.handled = 'discarded'",
        stream,
        &seqs,
        &subjects,
        &reasons as &[&str],
        &details,
        &headers as &[Option<&str>],
        &payloads as &[&[u8]],
        &sizes,
        &stored,
        lifecycle::process_name()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Unix nanoseconds as a date; a time outside the calendar becomes 1970.
fn stored_at(unix_ns: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
