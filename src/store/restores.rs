//! Table `brakes`, row `restored`: holds a mass of restores until the operator acts; and the held rows of table
//! `races`.
//!
//! Owns the lock, the count and the release of this brake. Must never prevent an attempt: it holds only the roles of
//! other clients. An attempt that needs other brakes too locks this one first.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::brake_releases::Way;
use super::brakes::COUNTED_AT_MOST;
use super::slices::{SLICE, Slice};
use super::{BrakeState, Store, StoreError, Tx, brake_row, string_list, work_queue};
use rolekeeper_domain::view::Capped;

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

/// Lets the next held restores pass: the users are evaluated again; or drops them.
pub(super) async fn slice(tx: &mut Tx<'_>, way: Way, after: &str) -> Result<Slice, StoreError> {
    let next = sqlx::query_scalar!(
        "SELECT DISTINCT user_id FROM races WHERE held AND NOT released AND outcome IS NULL AND user_id > $1 ORDER BY user_id LIMIT $2",
        after,
        SLICE
    );
    let next = next.fetch_all(&mut *tx).await?;
    if way == Way::Release {
        // Locks the queue first, in the same order as folds and attempts.
        work_queue::read_again(tx, &next).await?;
    }
    let acted = sqlx::query_scalar!(
        "WITH held AS (
             SELECT race_id FROM races WHERE held AND NOT released AND outcome IS NULL AND user_id = ANY($1::text[])
             ORDER BY race_id FOR UPDATE
         )
         UPDATE races r SET released = NOT $2, outcome = CASE WHEN $2 THEN 'dropped' END, settled_at = CASE WHEN $2 THEN now() END
         FROM held WHERE r.race_id = held.race_id RETURNING r.user_id",
        &next,
        way == Way::Drop
    );
    let acted = acted.fetch_all(&mut *tx).await?;
    let users: BTreeSet<&String> = acted.iter().collect();
    let users = users.len() as u64;
    Ok(Slice::of(next, users))
}

/// Whether a restore is held.
pub(super) async fn left(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let left = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM races WHERE held AND NOT released AND outcome IS NULL) AS "left!""#
    );
    Ok(left.fetch_one(&mut *tx).await?)
}

impl Store {
    /// State of the brake on restores, with at most `show` of the users it holds behind `after`.
    pub async fn restores_brake(&self, after: &str, show: i64) -> Result<BrakeState, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query!(
            r#"SELECT engaged_at, changes, holders,
                   (SELECT count(*) FROM (
                       SELECT DISTINCT user_id FROM races WHERE held AND NOT released AND outcome IS NULL LIMIT $1) AS held) AS "held!"
               FROM brakes WHERE change = 'restored'"#,
            COUNTED_AT_MOST + 1
        )
        .fetch_one(&mut tx)
        .await?;
        let held = sqlx::query!(
            r#"SELECT DISTINCT ON (user_id) user_id, found, merged AS "merged!" FROM races
               WHERE held AND NOT released AND outcome IS NULL AND merged IS NOT NULL AND user_id > $2
               ORDER BY user_id, found_at DESC LIMIT $1"#,
            show,
            after
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
            held: Capped::of(row.held, COUNTED_AT_MOST),
            waiting: Capped::default(),
            first,
        })
    }
}

/// The changes of the roles, as `+role` and `-role`.
fn signed(found: &[String], merged: &[String]) -> Vec<String> {
    let added = merged.iter().filter(|role| !found.contains(role));
    let removed = found.iter().filter(|role| !merged.contains(role));
    let added = added.map(|role| format!("+{role}"));
    added.chain(removed.map(|role| format!("-{role}"))).collect()
}
