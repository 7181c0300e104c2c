//! Letting go of a brake: what it held passes, or is given up.
//!
//! Owns the order of locks: nominations before the brake, as folds and looks take them, or one operator's command and two of
//! them could wait for each other. Must never let go of a brake and leave a user held, nor
//! miss one who is held but for an event that came a moment before.

use std::time::Duration;

use super::brakes::marks;
use super::{Store, StoreError, Tx, Wake, acts};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plan::Change;

/// Attempts to lock all held users before the last one waits for whoever has one of them.
pub(super) const ATTEMPTS: u32 = 40;
/// Time between two of them: others lock a user for as long as one transaction takes.
pub(super) const ATTEMPTS_APART: Duration = Duration::from_millis(50);

/// Locks the users held under these marks, and those who were until another event had them decided anew, in the order in which folds lock them. Call it before the brake is locked.
pub(super) async fn lock_held(tx: &mut Tx<'_>, marks: &[&str]) -> Result<(), StoreError> {
    let held = sqlx::query!(
        "SELECT user_id FROM nominations WHERE held = ANY($1::text[]) OR held_last = ANY($1::text[]) ORDER BY user_id FOR UPDATE",
        marks as &[&str]
    );
    held.fetch_all(&mut *tx).await?;
    Ok(())
}

/// The users held under these marks, once the brake is locked and no more can be held. None when another transaction has one
/// of them: it may wait for the brake.
pub(super) async fn all_held(tx: &mut Tx<'_>, marks: &[&str]) -> Result<Option<Vec<String>>, StoreError> {
    let locked = sqlx::query_scalar!(
        "SELECT user_id FROM nominations WHERE held = ANY($1::text[]) OR held_last = ANY($1::text[]) ORDER BY user_id FOR UPDATE SKIP LOCKED",
        marks as &[&str]
    );
    let locked = locked.fetch_all(&mut *tx).await?;
    let held = sqlx::query_scalar!(
        r#"SELECT count(*) AS "held!" FROM nominations WHERE held = ANY($1::text[]) OR held_last = ANY($1::text[])"#,
        marks as &[&str]
    );
    let held = held.fetch_one(&mut *tx).await?;
    Ok((held <= i64::try_from(locked.len()).unwrap_or(i64::MAX)).then_some(locked))
}

impl Store {
    /// Lets go of a brake, and lets exactly the users that it holds pass: they are decided anew. Answers how
    /// many; none when the brake was not engaged.
    pub async fn release_brake(&self, change: Change, act: &Act) -> Result<Option<u64>, StoreError> {
        let Some((mut tx, users)) = self.let_go(change).await? else {
            return Ok(None);
        };
        let released = sqlx::query!(
            "UPDATE nominations SET held = NULL, held_until = NULL, held_last = NULL, due_at = now(), observe = true,
                 pass_revokes = pass_revokes OR $1 = 'revoked', pass_grants = pass_grants OR $1 = 'granted'
             WHERE user_id = ANY($2::text[])",
            change.as_str(),
            &users
        )
        .execute(&mut tx)
        .await?
        .rows_affected();
        acts::keep(&mut tx, act, &format!("{released} users released")).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(released))
    }

    /// Lets go of a brake and gives up for good what it holds: holders are no longer adopted, grants are
    /// overruled. They are looked at once more, last of all. Answers how many; none when the brake was not
    /// engaged.
    pub async fn drop_braked(&self, change: Change, act: &Act) -> Result<Option<u64>, StoreError> {
        let Some((mut tx, users)) = self.let_go(change).await? else {
            return Ok(None);
        };
        sqlx::query!(
            "UPDATE nominations SET urgency = CASE WHEN held IS NULL OR held = 'brake_both' THEN urgency ELSE 4 END,
                 held = NULL, held_until = NULL, held_last = NULL, due_at = now(), observe = true
             WHERE user_id = ANY($1::text[])",
            &users
        )
        .execute(&mut tx)
        .await?;
        sqlx::query!(
            "UPDATE assignments SET adopted = adopted AND $2 <> 'revoked', overruled = overruled OR $2 = 'granted'
             WHERE user_id = ANY($1::text[])
               AND CASE WHEN $2 = 'revoked' THEN held AND adopted AND NOT wanted ELSE wanted AND NOT held END",
            &users,
            change.as_str()
        )
        .execute(&mut tx)
        .await?;
        acts::keep(&mut tx, act, &format!("{} users dropped", users.len())).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(users.len() as u64))
    }

    /// Lets go of an engaged brake; its count begins anew. Answers the users that it holds, all of them locked. Waits for
    /// deciders that hold its lock, so that what they hold is among them.
    async fn let_go(&self, change: Change) -> Result<Option<(Tx<'static>, Vec<String>)>, StoreError> {
        let marks = marks(change);
        let mut attempt = 1;
        loop {
            let mut tx = self.begin().await?;
            lock_held(&mut tx, &marks).await?;
            let let_go = sqlx::query!(
                "UPDATE brakes SET engaged_at = NULL, changes = NULL, counted_at = NULL, released_at = clock_timestamp()
                 WHERE change = $1 AND engaged_at IS NOT NULL",
                change.as_str()
            );
            if let_go.execute(&mut tx).await?.rows_affected() == 0 {
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
