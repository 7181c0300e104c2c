//! Slices of held users, in the order of their ids: each is released or dropped in one short transaction.
//!
//! Owns the size of a slice, the search for the users held under a mark, and what becomes of their changes. Must never act on a
//! user who is no longer held once the row is locked.

use super::brake_releases::Way;
use super::held_by::marks;
use super::{StoreError, Tx};
use rolekeeper_domain::plan::RoleChange;

/// Users of one slice: few enough that a fold waits for a slice for some hundredths of a second.
pub(super) const SLICE: i64 = 1_000;

/// The users of one slice.
#[derive(Debug)]
pub(super) struct Slice {
    /// The last of them.
    pub(super) last: Option<String>,
    /// As many as a slice has: there may be more.
    pub(super) full: bool,
    /// Number of users that were released or dropped.
    pub(super) users: u64,
}

impl Slice {
    /// A slice of these candidates, of whom `users` were still held.
    pub(super) fn of(candidates: Vec<String>, users: u64) -> Self {
        Self {
            full: candidates.len() as u64 >= SLICE.unsigned_abs(),
            last: candidates.into_iter().last(),
            users,
        }
    }
}

/// The next users behind `after` held under these marks, and those enqueued again by an event since; at most `most`.
pub(super) async fn next_held(
    tx: &mut Tx<'_>,
    marks: &[&str],
    after: &str,
    most: i64,
) -> Result<Vec<String>, StoreError> {
    let next = sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id!" FROM (
               -- one index range for each mark and column
               SELECT held.user_id FROM UNNEST($1::text[]) AS of(mark) CROSS JOIN LATERAL (
                   SELECT user_id FROM work_queue WHERE held_by = of.mark AND user_id > $2 ORDER BY user_id LIMIT $3) AS held
               UNION
               SELECT enqueued.user_id FROM UNNEST($1::text[]) AS of(mark) CROSS JOIN LATERAL (
                   SELECT user_id FROM work_queue WHERE last_held_by = of.mark AND user_id > $2 ORDER BY user_id LIMIT $3) AS enqueued
           ) AS next ORDER BY user_id LIMIT $3"#,
        marks as &[&str],
        after,
        most
    );
    Ok(next.fetch_all(&mut *tx).await?)
}

/// Releases or drops the next users held by the brake of one kind of change.
pub(super) async fn of_changes(
    tx: &mut Tx<'_>,
    change: RoleChange,
    way: Way,
    after: &str,
) -> Result<Slice, StoreError> {
    let marks = marks(change);
    let next = next_held(tx, &marks, after, SLICE).await?;
    let held = lock_held(tx, &marks, &next).await?;
    match way {
        Way::Release => pass(tx, change, &held).await?,
        Way::Drop => drop_held(tx, change, &held).await?,
    }
    Ok(Slice::of(next, held.len() as u64))
}

/// Locks those of the users who are still held, in the same order as folds.
async fn lock_held(tx: &mut Tx<'_>, marks: &[&str], users: &[String]) -> Result<Vec<String>, StoreError> {
    let held = sqlx::query_scalar!(
        "SELECT user_id FROM work_queue
         WHERE user_id = ANY($1::text[]) AND (held_by = ANY($2::text[]) OR last_held_by = ANY($2::text[]))
         ORDER BY user_id FOR UPDATE",
        users,
        marks as &[&str]
    );
    Ok(held.fetch_all(&mut *tx).await?)
}

/// Lets these held users pass.
async fn pass(tx: &mut Tx<'_>, change: RoleChange, held: &[String]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET held_by = NULL, held_until = NULL, last_held_by = NULL, due_at = now(), force_fetch = true,
             pass_revokes = pass_revokes OR $2 = 'revoked', pass_grants = pass_grants OR $2 = 'granted'
         WHERE user_id = ANY($1::text[])",
        held,
        change.as_str()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Drops the changes of these held users: holders are no longer adopted, grants are suppressed. A pinned role is left alone,
/// since no brake holds it. These users get another attempt, with the lowest priority.
async fn drop_held(tx: &mut Tx<'_>, change: RoleChange, held: &[String]) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET priority = CASE WHEN held_by IS NULL OR held_by = 'brake_both' THEN priority ELSE 4 END,
             held_by = NULL, held_until = NULL, last_held_by = NULL, due_at = now(), force_fetch = true
         WHERE user_id = ANY($1::text[])",
        held
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE assignments a SET adopted = adopted AND $2 <> 'revoked', suppressed = suppressed OR $2 = 'granted'
         WHERE user_id = ANY($1::text[])
           AND CASE WHEN $2 = 'revoked' THEN has_role AND adopted AND NOT wanted ELSE wanted AND NOT has_role END
           AND NOT EXISTS (SELECT FROM pins p WHERE p.user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = a.user_id) || a.user_id)
                   AND p.role = a.role AND (p.until IS NULL OR p.until > now()))",
        held,
        change.as_str()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
