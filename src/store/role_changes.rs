//! Table `role_changes`: the audit.
//!
//! Owns the life of an audit row: decided, attempted, completed or closed, announced. Must never remove one, never
//! complete one that was not seen or answered, and never call one announced that the stream is not known to hold.

use serde_json::Value;
use uuid::Uuid;

use super::{Claim, Store, StoreError, Tx};
use crate::domain::announcement::Announcement;
use crate::domain::plan::Change;
use crate::domain::rule::Rule;

/// A change that was decided and of which nobody knows yet whether it was done.
#[derive(Clone, Debug)]
pub struct OpenChange {
    /// The row.
    pub id: Uuid,
    /// The role.
    pub role: String,
    /// Granted or revoked.
    pub granted: bool,
}

/// The changes of a user that are open.
pub async fn open(tx: &mut Tx<'_>, user: &str) -> Result<Vec<OpenChange>, StoreError> {
    let rows = sqlx::query_as!(
        OpenChange,
        r#"SELECT change_id AS id, role, change = 'granted' AS "granted!" FROM role_changes
           WHERE user_id = $1 AND outcome IS NULL ORDER BY change_id"#,
        user
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

/// Writes down a decision whose write is about to be sent. With `shadow` it is closed at once: nothing will be written.
pub async fn decide(
    tx: &mut Tx<'_>,
    claim: &Claim,
    (rule, change): (&Rule, Change),
    plays: i64,
    shadow: bool,
) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let cause = claim.cause.as_ref();
    sqlx::query!(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, event_id, event_stored_at, outcome, queued_ms, released, attempted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $9::text IS NULL THEN clock_timestamp() END)",
        id,
        claim.user.as_str(),
        rule.role,
        change.as_str(),
        plays,
        serde_json::to_value(rule).unwrap_or(Value::Null),
        cause.map(|cause| cause.event.as_str()),
        cause.map(|cause| cause.stored_at),
        shadow.then_some("shadow"),
        claim.queued_ms,
        claim.passes(change)
    )
    .execute(&mut *tx)
    .await?;
    Ok(id)
}

/// Writes down that the write of rows that were open before is about to be sent.
pub async fn attempt_again(tx: &mut Tx<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE role_changes SET attempted_at = clock_timestamp()
         WHERE change_id = ANY($1) AND outcome IS NULL",
        ids
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Completes rows: `written` when our write was answered, `confirmed` when a later look saw them done.
pub async fn complete(tx: &mut Tx<'_>, ids: &[Uuid], outcome: &str) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH completed AS (
             UPDATE role_changes SET completed_at = clock_timestamp(), outcome = $2
             WHERE change_id = ANY($1) AND outcome IS NULL
         )
         SELECT pg_notify($3, '')",
        ids,
        outcome,
        super::Wake::RoleChanges.channel()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Completes the change of a role that `write` made after other looks had dealt with its row: as that row if it was given up,
/// else as another one of the same decision.
pub async fn done_late(
    tx: &mut Tx<'_>,
    user: &str,
    (role, change): (&str, Change),
    write: Uuid,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH decision AS (
             SELECT * FROM role_changes
             WHERE user_id = $1 AND role = $2 AND change = $3
               AND decided_at <= (SELECT attempted_at FROM profile_writes WHERE write_id = $4)
             ORDER BY change_id DESC LIMIT 1
         ), given_up AS (
             UPDATE role_changes r SET completed_at = clock_timestamp(), outcome = 'confirmed'
             FROM decision d WHERE r.change_id = d.change_id AND d.outcome = 'superseded'
             RETURNING 1
         ), again AS (
             INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, event_id, event_stored_at, decided_at,
                 attempted_at, completed_at, outcome, queued_ms, released)
             SELECT $5, user_id, role, change, plays, rule, event_id, event_stored_at, decided_at,
                 attempted_at, clock_timestamp(), 'confirmed', queued_ms, released
             FROM decision WHERE NOT EXISTS (SELECT FROM given_up)
         )
         SELECT pg_notify($6, '')",
        user,
        role,
        change.as_str(),
        write,
        Uuid::now_v7(),
        super::Wake::RoleChanges.channel()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Closes rows that were not done and will not be: `superseded` or `gone`.
pub async fn close(tx: &mut Tx<'_>, ids: &[Uuid], outcome: &str) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE role_changes SET outcome = $2 WHERE change_id = ANY($1) AND outcome IS NULL",
        ids,
        outcome
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Whether the newest row of the user and role is this very change, decided with writes off.
pub async fn is_shadowed(
    tx: &mut Tx<'_>,
    claim: &Claim,
    role: &str,
    change: Change,
) -> Result<bool, StoreError> {
    let newest = sqlx::query_scalar!(
        r#"SELECT change = $3 AND outcome IS NOT DISTINCT FROM 'shadow' AS "same!" FROM role_changes
           WHERE user_id = $1 AND role = $2 ORDER BY change_id DESC LIMIT 1"#,
        claim.user.as_str(),
        role,
        change.as_str()
    );
    Ok(newest.fetch_optional(&mut *tx).await?.unwrap_or(false))
}

impl Store {
    /// Completed changes that were not announced, at most `most`, in the order to announce them: that of their
    /// completion by Postgres' clock. Rows complete out of the order of their ids, and a row may show up behind
    /// later ones that committed first, so none is passed over for its place. The changes of one user are made
    /// one after the other, each completed before the next is decided, so theirs is the order of the changes.
    pub async fn unannounced(&self, most: i64) -> Result<Vec<Announcement>, StoreError> {
        let rows = sqlx::query_as!(
            Announcement,
            r#"SELECT change_id, user_id, role, change, plays, rule, event_id, decided_at,
                      completed_at AS "completed_at!", outcome AS "outcome!"
               FROM role_changes WHERE completed_at IS NOT NULL AND announced_at IS NULL
               ORDER BY completed_at, change_id LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Marks a change that the stream is known to hold. False when it was marked already, or is not known here.
    pub async fn announced(&self, change: Uuid) -> Result<bool, StoreError> {
        let marked = sqlx::query!(
            "UPDATE role_changes SET announced_at = clock_timestamp() WHERE change_id = $1 AND announced_at IS NULL",
            change
        );
        Ok(marked.execute(&self.pool).await?.rows_affected() == 1)
    }
}
