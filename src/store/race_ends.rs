//! Table `races`: ends races that no attempt can conclude any more, and removes data of a former tenant.
//!
//! Owns the conditions for that. Must never end a race that an attempt may still conclude.

use std::time::Duration;

use super::lock::LockGuard;
use super::{Store, StoreError};

/// Races ended in one transaction.
const BATCH: i64 = 500;

/// A race that was ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The user.
    pub user: String,
    /// `log_id` of the other client's record, or another unique name.
    pub record: String,
    /// The reason why no attempt can conclude it.
    pub why: String,
}

impl Store {
    /// Settles races as unresolved that no attempt can conclude: the user is deleted, our write or the other client's
    /// record is no longer stored, or attempts have not concluded it within `deadline`, as in shadow mode. The last
    /// reason does not apply to a race held by the brake. Handles one batch; call it until it returns none.
    pub async fn end_races(&self, deadline: Duration) -> Result<Vec<Ended>, StoreError> {
        let ended = sqlx::query!(
            r#"WITH open AS (
                   SELECT race_id, CASE
                       WHEN EXISTS (SELECT FROM gone_users g WHERE g.user_id = r.user_id) THEN 'Auth0 does not know the user'
                       WHEN NOT EXISTS (SELECT FROM profile_writes p WHERE p.write_id = r.write_id)
                           THEN 'our write is no longer stored'
                       WHEN NOT EXISTS (SELECT FROM foreign_writes f WHERE f.user_id = r.user_id AND f.record_id = r.record_id)
                           THEN 'the record of the other client is no longer stored'
                       -- a queued user may wait for Auth0 or for the operator
                       WHEN NOT r.held AND r.found_at < now() - $1::double precision * interval '1 second'
                           AND NOT EXISTS (SELECT FROM work_queue n WHERE n.user_id = r.user_id)
                           AND NOT EXISTS (SELECT FROM foreign_writes f WHERE f.user_id = r.user_id AND f.ask_at IS NOT NULL)
                           THEN 'no attempt concluded it in time'
                   END AS why
                   FROM races r WHERE outcome IS NULL
               ), over AS (
                   SELECT r.race_id, open.why FROM races r JOIN open USING (race_id)
                   WHERE open.why IS NOT NULL AND r.outcome IS NULL ORDER BY r.race_id LIMIT $2 FOR UPDATE OF r SKIP LOCKED
               )
               UPDATE races r SET settled_at = now(), outcome = 'unresolved' FROM over WHERE r.race_id = over.race_id
               RETURNING r.user_id, r.record_id, over.why AS "why!""#,
            deadline.as_secs_f64(),
            BATCH
        );
        let mut tx = self.begin().await?;
        let ended = ended.fetch_all(&mut tx).await?;
        tx.commit().await?;
        crash_point!("ended");
        let ended = ended.into_iter().map(|row| Ended {
            user: row.user_id,
            record: row.record_id,
            why: row.why,
        });
        Ok(ended.collect())
    }

    /// Removes all writes and races of the former tenant.
    pub(super) async fn forget_writes(&self, lock: &mut LockGuard) -> Result<(), StoreError> {
        loop {
            lock.check().await?;
            let removed = sqlx::query!(
                "WITH ours AS (
                     DELETE FROM profile_writes WHERE ctid = ANY(ARRAY(SELECT ctid FROM profile_writes LIMIT $1)) RETURNING 1
                 ), theirs AS (
                     DELETE FROM foreign_writes WHERE ctid = ANY(ARRAY(SELECT ctid FROM foreign_writes LIMIT $1)) RETURNING 1
                 ), raced AS (
                     DELETE FROM races WHERE ctid = ANY(ARRAY(SELECT ctid FROM races LIMIT $1)) RETURNING 1
                 )
                 SELECT (SELECT count(*) FROM ours) + (SELECT count(*) FROM theirs) + (SELECT count(*) FROM raced) AS \"removed!\"",
                BATCH
            );
            let mut tx = self.begin().await?;
            let removed = removed.fetch_one(&mut tx).await?.removed;
            tx.commit().await?;
            crash_point!("writes_removed");
            if removed == 0 {
                return Ok(());
            }
        }
    }
}
