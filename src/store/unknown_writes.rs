//! Table `foreign_writes`, records under our own client id: which of them Auth0 is asked for, of what may be none of our writes
//! and of what may be one without an answer.
//!
//! Owns the bounds that keep forged records cheap. Must never ask whether a write is another's that may be one
//! of ours.

use super::{StoreError, Tx, string_list};

/// Records under our own client id that Auth0 is asked for at one time.
const PENDING_AT_MOST: i64 = 10;
/// Records that Auth0 is asked for about one write without an answer.
const ASKED_OF_A_WRITE: i64 = 5;

/// Has Auth0 asked for these records, at most one an hour of a user, and only where
/// - Auth0 has answered for the user before, so that invented ids cost nothing;
/// - `profile_writes` would still hold a write of ours: it keeps eight days;
/// - the database was bound to the tenant before the write: what came before is not ours;
/// - no write of ours left the same roles around that time, however it ended: its answer may have been wrong.
pub(super) async fn ask(tx: &mut Tx<'_>, users: &[&str], records: &[&str]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE foreign_writes f SET asked_at = now(), ask_at = now()
         FROM (
             SELECT DISTINCT ON (f.user_id) f.user_id, f.record_id FROM foreign_writes f
             JOIN UNNEST($1::text[], $2::text[]) AS noted(user_id, record_id) USING (user_id, record_id)
             WHERE f.own AND f.log_id IS NOT NULL AND f.asked_at IS NULL AND f.write_id IS NULL
               AND f.written_at > now() - interval '7 days'
               AND f.written_at > (SELECT bound_at FROM tenant)
               AND EXISTS (SELECT FROM users u WHERE u.user_id = f.user_id AND u.fetched_at IS NOT NULL)
               AND NOT EXISTS (
                   SELECT FROM profile_writes p WHERE p.user_id = f.user_id AND p.wrote_roles = f.roles
                     AND p.attempted_at BETWEEN f.written_at - interval '10 minutes' AND f.written_at + interval '10 minutes')
               AND NOT EXISTS (
                   SELECT FROM foreign_writes asked WHERE asked.own AND asked.write_id IS NULL AND asked.user_id = f.user_id
                     AND asked.asked_at > now() - interval '1 hour')
             ORDER BY f.user_id, f.written_at DESC
             LIMIT (SELECT greatest(0, $3 - count(*)) FROM foreign_writes pending
                    WHERE pending.own AND pending.write_id IS NULL AND pending.ask_at IS NOT NULL)
         ) AS due
         WHERE f.user_id = due.user_id AND f.record_id = due.record_id",
        users as &[&str],
        records as &[&str],
        PENDING_AT_MOST
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Has Auth0 asked for those of these records that may tell of a write of ours without an answer: what they say of it counts
/// once Auth0 confirms them.
pub(super) async fn ask_of_ours(tx: &mut Tx<'_>, users: &[&str], records: &[&str]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE foreign_writes f SET asked_at = now(), ask_at = now()
         FROM UNNEST($1::text[], $2::text[]) AS noted(user_id, record_id)
         WHERE f.user_id = noted.user_id AND f.record_id = noted.record_id AND f.write_id IS NOT NULL
           AND f.log_id IS NOT NULL AND f.asked_at IS NULL
           AND (SELECT count(*) FROM foreign_writes asked
                WHERE asked.user_id = f.user_id AND asked.write_id = f.write_id AND asked.asked_at IS NOT NULL) < $3",
        users as &[&str],
        records as &[&str],
        ASKED_OF_A_WRITE
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// What writes of a user left, by records that Auth0 is being asked for because they may tell of writes of ours without an answer.
pub async fn pending(tx: &mut Tx<'_>, user: &str) -> Result<Vec<Vec<String>>, StoreError> {
    let rows = sqlx::query_scalar!(
        "SELECT roles FROM foreign_writes WHERE user_id = $1 AND write_id IS NOT NULL AND ask_at IS NOT NULL",
        user
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    rows.iter()
        .map(|roles| string_list("foreign_writes", "roles", roles))
        .collect()
}
