//! The check for remaining work.
//!
//! Owns this check over tenant, streams and Postgres together. Must never report the end while work is in flight.

use sqlx::PgExecutor;

use super::stream::{APP_EVENTS, AUTH0_LOGS, Streams};
use crate::tenant::Tenant;

/// Returns whether all records of the tenant's log are delivered, both streams are folded to their ends, and no user is due or
/// in flight. Parked and held users may wait.
pub async fn is_reached(tenant: &Tenant, streams: &Streams, db: impl PgExecutor<'_>) -> anyhow::Result<bool> {
    let logged = tenant.logged_count();
    if tenant.undelivered() > 0 {
        return Ok(false);
    }
    // One statement reads one moment: a user is in the work queue as soon as the cursor has moved.
    let quiet = sqlx::query_scalar::<_, Option<bool>>(
        "SELECT (SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS') = $1
            AND (SELECT last_seq FROM stream_cursors WHERE stream = 'AUTH0_LOGS') = $2
            AND NOT EXISTS (SELECT FROM work_queue WHERE parked_at IS NULL AND held_by IS NULL)
            -- the tenant is being asked for a record, and the response enqueues its user; older schemas ask for none
            AND NOT EXISTS (SELECT FROM foreign_writes f WHERE to_jsonb(f) ->> 'ask_at' IS NOT NULL)",
    );
    let quiet = quiet
        .bind(streams.last_seq(APP_EVENTS).await?.cast_signed())
        .bind(streams.last_seq(AUTH0_LOGS).await?.cast_signed());
    let quiet = quiet.fetch_one(db).await?.unwrap_or(false);
    // Records that were logged in the meantime are still in flight.
    Ok(quiet && tenant.logged_count() == logged)
}
