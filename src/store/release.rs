//! Releases a brake: the held changes pass, or are dropped.
//!
//! Owns the order of locks: the queue before the brake, as in folds and attempts, or an operator's command could
//! deadlock with them. Must never release a brake and leave a user held, nor miss a user who is no longer marked as
//! held only because of a very recent event.

use std::time::Duration;

use super::brakes::marks;
use super::{Channel, Store, StoreError, Tx, acts, brake_row};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plan::RoleChange;

/// Attempts to lock all held users; the last one waits for the other transactions.
pub(super) const ATTEMPTS: u32 = 40;
/// Time between two attempts; other transactions lock a user only briefly.
pub(super) const ATTEMPTS_APART: Duration = Duration::from_millis(50);

/// Locks the users held under these marks, and those enqueued again by another event since, in the same order as folds.
/// Call it before the brake is locked.
pub(super) async fn lock_held(tx: &mut Tx<'_>, marks: &[&str]) -> Result<(), StoreError> {
    let held = sqlx::query!(
        "SELECT user_id FROM work_queue WHERE held_by = ANY($1::text[]) OR last_held_by = ANY($1::text[]) ORDER BY user_id FOR UPDATE",
        marks as &[&str]
    );
    held.fetch_all(&mut *tx).await?;
    Ok(())
}

/// The users held under these marks, once the brake is locked and no more can be held. `None` if another transaction
/// has one of them locked, since it may wait for the brake.
pub(super) async fn all_held(tx: &mut Tx<'_>, marks: &[&str]) -> Result<Option<Vec<String>>, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT user_id FROM work_queue WHERE held_by = ANY($1::text[]) OR last_held_by = ANY($1::text[]) ORDER BY user_id FOR UPDATE SKIP LOCKED",
        marks as &[&str]
    );
    let locked = locked.fetch_all(&mut *tx).await?;
    let held = sqlx::query_scalar!(
        r#"SELECT count(*) AS "held!" FROM work_queue WHERE held_by = ANY($1::text[]) OR last_held_by = ANY($1::text[])"#,
        marks as &[&str]
    );
    let held = held.fetch_one(&mut *tx).await?;
    Ok((held <= i64::try_from(locked.len()).unwrap_or(i64::MAX)).then_some(locked))
}

impl Store {
    /// Releases a brake and lets exactly the held users pass: they are evaluated again. Returns their number; `None` if
    /// the brake was not engaged.
    pub async fn release_brake(&self, change: RoleChange, act: &Act) -> Result<Option<u64>, StoreError> {
        let Some((mut tx, users)) = self.let_go(change).await? else {
            return Ok(None);
        };
        let released = sqlx::query!(
            "UPDATE work_queue SET held_by = NULL, held_until = NULL, last_held_by = NULL, due_at = now(), force_fetch = true,
                 pass_revokes = pass_revokes OR $1 = 'revoked', pass_grants = pass_grants OR $1 = 'granted'
             WHERE user_id = ANY($2::text[])",
            change.as_str(),
            &users
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        acts::keep(&mut tx, act, &format!("{released} users released")).await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(released))
    }

    /// Releases a brake and drops the held changes: holders are no longer adopted, grants are suppressed. These users
    /// get another attempt, with the lowest priority. Returns their number; `None` if the brake was not engaged.
    pub async fn drop_braked(&self, change: RoleChange, act: &Act) -> Result<Option<u64>, StoreError> {
        let Some((mut tx, users)) = self.let_go(change).await? else {
            return Ok(None);
        };
        sqlx::query!(
            "UPDATE work_queue SET priority = CASE WHEN held_by IS NULL OR held_by = 'brake_both' THEN priority ELSE 4 END,
                 held_by = NULL, held_until = NULL, last_held_by = NULL, due_at = now(), force_fetch = true
             WHERE user_id = ANY($1::text[])",
            &users
        )
        .execute(&mut tx)
        .await?;
        sqlx::query!(
            "UPDATE assignments SET adopted = adopted AND $2 <> 'revoked', suppressed = suppressed OR $2 = 'granted'
             WHERE user_id = ANY($1::text[])
               AND CASE WHEN $2 = 'revoked' THEN has_role AND adopted AND NOT wanted ELSE wanted AND NOT has_role END",
            &users,
            change.as_str()
        )
        .execute(&mut tx)
        .await?;
        acts::keep(&mut tx, act, &format!("{} users dropped", users.len())).await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(users.len() as u64))
    }

    /// Releases an engaged brake, whose count restarts. Returns the held users, all locked. Waits for transactions that
    /// hold the brake's lock, so that their held users are included.
    async fn let_go(&self, change: RoleChange) -> Result<Option<(Tx<'static>, Vec<String>)>, StoreError> {
        let marks = marks(change);
        let mut attempt = 1;
        loop {
            let mut tx = self.begin().await?;
            lock_held(&mut tx, &marks).await?;
            if !brake_row::release(&mut tx, change.as_str()).await? {
                return Ok(None);
            }
            if attempt == ATTEMPTS {
                lock_held(&mut tx, &marks).await?;
            }
            if let Some(users) = all_held(&mut tx, &marks).await? {
                return Ok(Some((tx, users)));
            }
            drop(tx);
            attempt += 1;
            tokio::time::sleep(ATTEMPTS_APART).await;
        }
    }
}
