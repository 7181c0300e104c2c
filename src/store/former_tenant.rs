//! Rows that only the former tenant's responses and records explain, when the database moves to another tenant.
//!
//! Owns the list of them. Must never remove a fact of the app, a word of the operator or the audit; nor leave what would decide
//! about a user of the new tenant.

use super::{LockGuard, Store, StoreError, Tx, bans, own_decisions};

/// Rows changed in one transaction of a move.
const BATCH: i64 = 5_000;

/// Ends the work that was under way at the former tenant: the search for holders, releases of held changes, the reading of its
/// log, and the comparison with what was announced there.
pub(super) async fn forget_progress(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let queries = [
        sqlx::query!("DELETE FROM discovery"),
        sqlx::query!("DELETE FROM discovered_roles"),
        sqlx::query!("DELETE FROM brake_releases"),
        sqlx::query!("DELETE FROM log_checkpoint"),
        sqlx::query!("UPDATE log_deliveries SET last_at = now(), silent_since = NULL"),
        sqlx::query!("UPDATE forgotten_changes SET read_to = greatest(read_to, until)"),
        sqlx::query!(
            "UPDATE gone_brake SET engaged_at = NULL, users = NULL, counted_at = NULL, known = NULL"
        ),
    ];
    for query in queries {
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

impl Store {
    /// Closes open changes, removes what was known of users of the former tenant, and makes all users of the queue due for a
    /// new read.
    pub(super) async fn forget_former(&self, lock: &mut LockGuard, operator: &str) -> Result<(), StoreError> {
        self.keep_bans(lock, operator).await?;
        self.forget_marks(lock).await?;
        self.forget_copies(lock).await?;
        self.requeue_all_unread(lock).await
    }

    /// Gives each linked id the pins `off` of its person and the roles that stay removed, as the end of a link does: the id may be an
    /// account of its own at the new tenant.
    async fn keep_bans(&self, lock: &mut LockGuard, operator: &str) -> Result<(), StoreError> {
        let mut after = String::new();
        self.in_steps(lock, async |tx| {
            let last = bans::outlast_all(tx, &after, operator).await?;
            Ok(last.map(|last| after = last).is_some())
        })
        .await?;
        let mut after = String::new();
        self.in_steps(lock, async |tx| {
            let links = sqlx::query!(
                "SELECT alias, primary_id FROM identities WHERE NOT undone AND alias > $1 ORDER BY alias LIMIT $2",
                after,
                BATCH
            );
            let links = links.fetch_all(&mut *tx).await?;
            let aliases: Vec<&str> = links.iter().map(|link| link.alias.as_str()).collect();
            let primaries: Vec<&str> = links.iter().map(|link| link.primary_id.as_str()).collect();
            own_decisions::suppress(tx, &aliases, &primaries).await?;
            let last = links.into_iter().last();
            Ok(last.map(|last| after = last.alias).is_some())
        })
        .await
    }

    /// Runs short transactions, as long as the step finds rows and the lock is held.
    async fn in_steps(
        &self,
        lock: &mut LockGuard,
        mut step: impl AsyncFnMut(&mut Tx<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            lock.check().await?;
            let mut tx = self.begin().await?;
            let found = step(&mut tx).await?;
            tx.commit().await?;
            crash_point!("step_done");
            if !found {
                return Ok(());
            }
        }
    }

    /// Removes marks of gone users, removals by hand, refused names, roles to adopt, and links, since each profile that is read
    /// shows those of the new tenant.
    async fn forget_marks(&self, lock: &mut LockGuard) -> Result<(), StoreError> {
        self.in_steps(lock, async |tx| {
            let done = sqlx::query_scalar!(
                r#"WITH closed AS (
                       UPDATE role_changes SET outcome = 'superseded'
                       WHERE change_id = ANY(ARRAY(SELECT change_id FROM role_changes WHERE outcome IS NULL LIMIT $1)) RETURNING 1
                   ), marked AS (
                       DELETE FROM gone_users WHERE ctid = ANY(ARRAY(SELECT ctid FROM gone_users LIMIT $1)) RETURNING 1
                   ), removed AS (
                       DELETE FROM removals WHERE ctid = ANY(ARRAY(SELECT ctid FROM removals LIMIT $1)) RETURNING user_id, role, state
                   ), freed AS (
                       -- it stayed removed only until the operator would decide
                       UPDATE assignments a SET suppressed = false FROM removed r
                       WHERE r.state = 'held' AND a.user_id = r.user_id AND a.role = r.role
                   ), linked AS (
                       DELETE FROM identities WHERE ctid = ANY(ARRAY(SELECT ctid FROM identities LIMIT $1)) RETURNING 1
                   ), formerly AS (
                       DELETE FROM former_identities WHERE ctid = ANY(ARRAY(SELECT ctid FROM former_identities LIMIT $1)) RETURNING 1
                   ), decided AS (
                       DELETE FROM own_decisions WHERE ctid = ANY(ARRAY(SELECT ctid FROM own_decisions LIMIT $1)) RETURNING 1
                   ), announced AS (
                       DELETE FROM forgotten_holders WHERE ctid = ANY(ARRAY(SELECT ctid FROM forgotten_holders LIMIT $1)) RETURNING 1
                   ), named AS (
                       DELETE FROM display_name_writes WHERE ctid = ANY(ARRAY(SELECT ctid FROM display_name_writes LIMIT $1)) RETURNING 1
                   ), refused AS (
                       DELETE FROM display_names WHERE ctid = ANY(ARRAY(SELECT ctid FROM display_names WHERE request_id IS NULL LIMIT $1))
                       RETURNING 1
                   ), requested AS (
                       UPDATE display_names SET refused = NULL, refused_at = NULL, refusal = NULL
                       WHERE ctid = ANY(ARRAY(SELECT ctid FROM display_names WHERE request_id IS NOT NULL AND refused IS NOT NULL LIMIT $1))
                       RETURNING 1
                   )
                   SELECT (SELECT count(*) FROM closed) + (SELECT count(*) FROM marked) + (SELECT count(*) FROM removed)
                       + (SELECT count(*) FROM linked) + (SELECT count(*) FROM announced) + (SELECT count(*) FROM named)
                       + (SELECT count(*) FROM refused) + (SELECT count(*) FROM requested) + (SELECT count(*) FROM formerly)
                       + (SELECT count(*) FROM decided) AS "done!""#,
                BATCH
            );
            Ok(done.fetch_one(&mut *tx).await? > 0)
        })
        .await
    }

    /// Empties the local copies: profiles, and since when users are unknown to Auth0. The next record about a user causes a read.
    async fn forget_copies(&self, lock: &mut LockGuard) -> Result<(), StoreError> {
        let mut after = String::new();
        self.in_steps(lock, async |tx| {
            let last = sqlx::query_scalar!(
                "WITH batch AS (
                     SELECT user_id FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2 FOR UPDATE
                 ), emptied AS (
                     UPDATE users u SET profile = NULL, fields = '{}', last_login_at = NULL, fetched_at = NULL, profile_at = NULL,
                         asked_at = NULL, alive_at = NULL, gone_at = NULL, gone_since = NULL, deleted_at = NULL
                     FROM batch WHERE u.user_id = batch.user_id
                 )
                 SELECT max(user_id) FROM batch",
                after,
                BATCH
            );
            let last = last.fetch_one(&mut *tx).await?;
            Ok(last.map(|last| after = last).is_some())
        })
        .await
    }

    /// Requeues the users who failed, are parked or held, or were released from a brake, as the former tenant caused it: each is
    /// read again, and a brake decides again.
    async fn requeue_all_unread(&self, lock: &mut LockGuard) -> Result<(), StoreError> {
        let mut after = String::new();
        self.in_steps(lock, async |tx| {
            let last = sqlx::query_scalar!(
                "WITH batch AS (
                     SELECT user_id FROM work_queue WHERE user_id > $1 ORDER BY user_id LIMIT $2 FOR UPDATE
                 ), requeued AS (
                     UPDATE work_queue n SET force_fetch = true, attempts = 0, last_error = NULL, failure = NULL, failed_at = NULL,
                         due_at = CASE WHEN n.attempts > 0 OR n.parked_at IS NOT NULL OR n.held_by IS NOT NULL THEN now() ELSE n.due_at END,
                         parked_at = NULL, held_by = NULL, held_until = NULL, last_held_by = NULL, reread_since = NULL,
                         pass_revokes = false, pass_grants = false, pass_gone = false
                     FROM batch WHERE n.user_id = batch.user_id
                 )
                 SELECT max(user_id) FROM batch",
                after,
                BATCH
            );
            let last = last.fetch_one(&mut *tx).await?;
            Ok(last.map(|last| after = last).is_some())
        })
        .await
    }
}
