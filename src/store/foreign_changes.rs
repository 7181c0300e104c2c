//! Table `role_changes`, rows `given` and `taken`: managed roles that another client added or removed, as seen by an
//! attempt.
//!
//! Owns that each such change has one row. Must never attribute our change to another client: a change that our write
//! may have made is ours.

use uuid::Uuid;

use super::{Claim, StoreError, Tx};
use rolekeeper_domain::rule::Rule;

/// The open changes of a user, seen done by an attempt, that no write of ours can have made. Leaves out decisions older
/// than a day, whose writes may no longer be stored.
pub async fn not_ours(tx: &mut Tx<'_>, user: &str, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let rows = sqlx::query_scalar!(
        "SELECT change_id FROM role_changes r
         WHERE change_id = ANY($2) AND decided_at > now() - interval '1 day' AND NOT EXISTS (
             SELECT FROM profile_writes p
             WHERE p.user_id = $1 AND p.attempted_at >= r.decided_at AND p.closed IS DISTINCT FROM 'refused'
               AND (p.wrote_roles ? r.role) = (r.change = 'granted'))",
        user,
        ids
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

/// Stores that another client added a managed role (`held`) or removed it, if an earlier attempt left or saw the user otherwise,
/// and no row was stored since that attempt. The client is the one of the newest matching record.
pub async fn seen(
    tx: &mut Tx<'_>,
    claim: &Claim,
    rule: &Rule,
    (has_role, reverted): (bool, bool),
    plays: i64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, outcome, queued_ms, client_id, log_id)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, told.client_id, told.log_id
         FROM (
             SELECT a.verified_at AS read_at FROM assignments a
             WHERE a.user_id = $2 AND a.role = $3 AND a.has_role <> $9 AND a.verified_at IS NOT NULL
             UNION ALL
             -- a role that the user never held has no assignment; the stored profile is the one of the read before
             SELECT u.fetched_at FROM users u
             WHERE $9 AND u.user_id = $2 AND u.profile IS NOT NULL AND NOT coalesce(u.profile #> '{app_metadata,roles}' ? $3, false)
               AND NOT EXISTS (SELECT FROM assignments a WHERE a.user_id = $2 AND a.role = $3)
         ) AS earlier LEFT JOIN LATERAL (
             SELECT client_id, log_id FROM foreign_writes f
             WHERE f.user_id = $2 AND (f.roles ? $3) = $9 AND f.noted_at > earlier.read_at AND f.write_id IS NULL
               AND f.verdict IS DISTINCT FROM 'unknown' AND f.verdict IS DISTINCT FROM 'differs'
             ORDER BY f.written_at DESC LIMIT 1
         ) AS told ON true
         WHERE NOT EXISTS (
             SELECT FROM role_changes r
             WHERE r.user_id = $2 AND r.role = $3 AND r.change = $4 AND r.decided_at > earlier.read_at)",
        Uuid::now_v7(),
        claim.user.as_str(),
        rule.role,
        if has_role { "given" } else { "taken" },
        plays,
        serde_json::to_value(rule).unwrap_or_default(),
        if reverted { "reverted" } else { "left" },
        claim.queued_ms,
        has_role
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
