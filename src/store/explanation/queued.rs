//! An entry of the work queue, as the operator sees it.
//!
//! Owns the row and its form.

use time::OffsetDateTime;

use rolekeeper_domain::explanation::{Crossing, Queued};

/// The columns of table `work_queue` that an operator sees.
pub(in crate::store) struct Row {
    pub(in crate::store) user_id: String,
    pub(in crate::store) priority: i16,
    pub(in crate::store) enqueued_at: OffsetDateTime,
    pub(in crate::store) due_at: OffsetDateTime,
    pub(in crate::store) lease_until: Option<OffsetDateTime>,
    pub(in crate::store) attempts: i32,
    pub(in crate::store) last_error: Option<String>,
    pub(in crate::store) failed_at: Option<OffsetDateTime>,
    pub(in crate::store) parked_at: Option<OffsetDateTime>,
    pub(in crate::store) held_by: Option<String>,
    pub(in crate::store) last_held_by: Option<String>,
    pub(in crate::store) cause_event: Option<String>,
    pub(in crate::store) cause_stored_at: Option<OffsetDateTime>,
    pub(in crate::store) cause_plays: Option<i64>,
    pub(in crate::store) cause_seq: Option<i64>,
}

impl From<Row> for Queued {
    fn from(row: Row) -> Self {
        let cause = row
            .cause_event
            .zip(row.cause_seq)
            .zip(row.cause_stored_at.zip(row.cause_plays));
        Self {
            user_id: row.user_id,
            priority: row.priority,
            enqueued_at: row.enqueued_at,
            due_at: row.due_at,
            lease_until: row.lease_until,
            attempts: row.attempts,
            last_error: row.last_error,
            failed_at: row.failed_at,
            parked_at: row.parked_at,
            held_by: row.held_by,
            last_held_by: row.last_held_by,
            cause: cause.map(|((event_id, stream_seq), (stored_at, plays))| Crossing {
                event_id,
                stream_seq,
                stored_at,
                plays,
            }),
        }
    }
}

/// The entries of these rows.
pub(in crate::store) fn entries(rows: Vec<Row>) -> Vec<Queued> {
    rows.into_iter().map(Queued::from).collect()
}
