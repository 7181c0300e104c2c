//! Table `brakes`, row `restored`: holds a mass of restores until the operator acts; and the held rows of table
//! `races`.
//!
//! Owns the lock, the count and the release of this brake. Must never prevent an attempt: it holds only the roles of
//! other clients. An attempt that needs other brakes too locks this one first.

use std::time::Duration;

use time::OffsetDateTime;

use super::{BrakeState, Channel, Store, StoreError, Tx, acts, brake_row, string_list};
use rolekeeper_domain::act::Act;

/// The kind in table `brakes`.
const KIND: &str = "restored";

/// The brake on restores, locked until the transaction ends.
#[derive(Debug)]
pub struct Locked {
    /// Whether all restores are held.
    pub engaged: bool,
    /// Only later decisions count.
    since: OffsetDateTime,
}

/// Locks the brake on restores.
pub async fn lock(tx: &mut Tx<'_>, window: Duration) -> Result<Locked, StoreError> {
    let (engaged, since) = brake_row::lock(tx, KIND, window).await?;
    Ok(Locked { engaged, since })
}

impl Locked {
    /// Number of users, `user` included, whose roles of other clients are restored inside the window.
    pub async fn restored(&self, tx: &mut Tx<'_>, user: &str) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM (
                   SELECT $1::text COLLATE "C" AS user_id
                   UNION
                   SELECT user_id FROM role_changes
                   WHERE change IN ('restored', 'removed') AND decided_at > $2 AND NOT released
                     AND (outcome IS NULL OR outcome IN ('written', 'confirmed'))
               ) AS restored"#,
            user,
            self.since
        );
        Ok(count.fetch_one(&mut *tx).await?)
    }

    /// Engages the brake: from here on every restore is held.
    pub async fn engage(&self, tx: &mut Tx<'_>, users: i64) -> Result<(), StoreError> {
        brake_row::engage(tx, KIND, users, 0).await
    }
}

impl Store {
    /// State of the brake on restores, with at most `show` of the users it holds.
    pub async fn restores_brake(&self, show: i64) -> Result<BrakeState, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query!(
            r#"SELECT engaged_at, changes, holders,
                   (SELECT count(DISTINCT user_id) FROM races WHERE held AND outcome IS NULL) AS "held!"
               FROM brakes WHERE change = 'restored'"#
        )
        .fetch_one(&mut tx)
        .await?;
        let held = sqlx::query!(
            r#"SELECT DISTINCT ON (user_id) user_id, found, merged AS "merged!" FROM races
               WHERE held AND outcome IS NULL AND merged IS NOT NULL ORDER BY user_id, found_at DESC LIMIT $1"#,
            show
        )
        .fetch_all(&mut tx)
        .await?;
        let mut first = Vec::with_capacity(held.len());
        for row in held {
            let found = string_list("races", "found", &row.found)?;
            let merged = string_list("races", "merged", &row.merged)?;
            first.push((row.user_id, signed(&found, &merged)));
        }
        Ok(BrakeState {
            engaged_at: row.engaged_at,
            counted: row.changes.zip(row.holders),
            held: row.held,
            waiting: 0,
            first,
        })
    }

    /// Releases the brake on restores and lets exactly the held ones pass: they are evaluated again. Returns the number
    /// of users; `None` if the brake was not engaged.
    pub async fn release_restores(&self, act: &Act) -> Result<Option<u64>, StoreError> {
        let (mut tx, released) = loop {
            let mut tx = self.begin().await?;
            // Locks the queue first, in the same order as folds and attempts.
            let enqueued = sqlx::query_scalar!(
                "INSERT INTO work_queue AS n (user_id, priority, force_fetch)
                 SELECT DISTINCT user_id, 1::smallint, true FROM races WHERE held AND outcome IS NULL ORDER BY 1
                 ON CONFLICT (user_id) DO UPDATE SET force_fetch = true, generation = n.generation + 1 RETURNING user_id"
            );
            let enqueued = enqueued.fetch_all(&mut tx).await?;
            if !brake_row::release(&mut tx, KIND).await? {
                return Ok(None);
            }
            let missed = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT FROM races WHERE held AND outcome IS NULL AND user_id <> ALL($1::text[])) AS "missed!""#,
                &enqueued
            );
            if !missed.fetch_one(&mut tx).await? {
                break (tx, enqueued.len() as u64);
            }
            // An attempt held another restore while this waited for the brake.
        };
        sqlx::query!("UPDATE races SET released = true WHERE held AND outcome IS NULL")
            .execute(&mut tx)
            .await?;
        acts::keep(&mut tx, act, &format!("{released} users released")).await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(released))
    }

    /// Releases the brake on restores and drops the held ones. Returns the number of users; `None` if the brake was not
    /// engaged.
    pub async fn drop_restores(&self, act: &Act) -> Result<Option<u64>, StoreError> {
        let mut tx = self.begin().await?;
        // Locks races before the brake, in the same order as attempts.
        sqlx::query!("SELECT race_id FROM races WHERE held AND outcome IS NULL ORDER BY race_id FOR UPDATE")
            .fetch_all(&mut tx)
            .await?;
        if !brake_row::release(&mut tx, KIND).await? {
            return Ok(None);
        }
        let dropped = sqlx::query_scalar!(
            r#"WITH dropped AS (
                   UPDATE races SET outcome = 'dropped', settled_at = now() WHERE held AND outcome IS NULL RETURNING user_id
               )
               SELECT count(DISTINCT user_id) AS "users!" FROM dropped"#
        );
        let dropped = dropped.fetch_one(&mut tx).await?;
        acts::keep(&mut tx, act, &format!("{dropped} users dropped")).await?;
        tx.commit().await?;
        Ok(Some(dropped.unsigned_abs()))
    }
}

/// The changes of the roles, as `+role` and `-role`.
fn signed(found: &[String], merged: &[String]) -> Vec<String> {
    let added = merged.iter().filter(|role| !found.contains(role));
    let removed = found.iter().filter(|role| !merged.contains(role));
    let added = added.map(|role| format!("+{role}"));
    added.chain(removed.map(|role| format!("-{role}"))).collect()
}
