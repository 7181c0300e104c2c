//! Table `foreign_writes`, records under our own client id: selects those that Auth0 must confirm because they may not
//! describe a write of ours, or may describe one without a response.
//!
//! Owns the bounds that keep forged records cheap. Must never treat as unknown a record that may describe a write of
//! ours.

use super::{StoreError, Tx, string_list};

/// Maximum number of records under our own client id with a pending confirmation.
const PENDING_AT_MOST: i64 = 10;
/// Maximum number of records confirmed for one write without a response.
const ASKED_OF_A_WRITE: i64 = 5;

/// Requests the confirmation of these records, at most one per hour for a user and since the last `resume`, and only if
/// - Auth0 has responded for the user before, so that invented ids cost nothing;
/// - `profile_writes` would still hold a write of ours: it keeps eight days;
/// - the database was bound to the tenant before the write, since earlier writes are not ours;
/// - no write of ours left the same roles around that time, however it ended: its response may have been wrong.
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
                     -- `greatest` ignores NULL
                     AND asked.asked_at > greatest(now() - interval '1 hour',
                         (SELECT max(acted_at) FROM operator_acts WHERE command = 'resume')))
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

/// Requests the confirmation of those records that may describe a write of ours without a response; they count once
/// Auth0 confirms them.
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

/// Roles after writes of a user, by records with a pending confirmation that may describe our writes without a
/// response.
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
