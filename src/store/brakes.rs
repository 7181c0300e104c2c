//! Table `brakes`: holds a mass of changes until the operator acts.
//!
//! Owns the lock that serializes decisions of one kind, and the count. Must never release a held user without the
//! operator, nor decide itself whether a brake engages.

use std::time::Duration;

use time::OffsetDateTime;

use super::held_by::marks;
use super::{Store, StoreError, Tx, slices};
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::view::Capped;

/// How long a count of the holders is cached, since it reads all changes of the window.
const HOLDERS_SERVE: Duration = Duration::from_mins(1);

/// A brake, locked until the transaction ends.
#[derive(Debug)]
pub struct Locked {
    change: RoleChange,
    /// Whether all changes of its kind are held.
    pub engaged: bool,
    /// At least the changes decided since `since`, and those that may be decided without another question; none before
    /// the first count.
    decided: Option<i64>,
    /// Users in the queue under the priority of this kind of change, due or not: at least those who wait for it.
    waiting: i64,
    /// Only later decisions count: the start of the window, or the last release by the operator.
    since: OffsetDateTime,
}

/// Most held or waiting users of a brake that are counted: a count must not read millions of rows.
pub(super) const COUNTED_AT_MOST: i64 = 20_000;

/// State of a brake, as the operator sees it.
#[derive(Debug)]
pub struct BrakeState {
    /// Time since which it is engaged; `None` if it is not.
    pub engaged_at: Option<OffsetDateTime>,
    /// Number of users that would have changed when it engaged, and number of holders.
    pub counted: Option<(i64, i64)>,
    /// Held users, including those enqueued again by an event since, whose attempt waits.
    pub held: Capped,
    /// Queued users without an attempt so far.
    pub waiting: Capped,
    /// The first held users, with the roles that would change, as last decided.
    pub first: Vec<(String, Vec<String>)>,
}

/// Locks the brake of one kind of change, and raises its bound by the changes that the caller asks for. A caller that needs
/// both locks grants first.
pub async fn lock(
    tx: &mut Tx<'_>,
    change: RoleChange,
    window: Duration,
    changes: i64,
) -> Result<Locked, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"UPDATE brakes SET decided_bound = decided_bound + $4 WHERE change = $1
           RETURNING engaged_at IS NOT NULL AS "engaged!",
               greatest(now() - $2::double precision * interval '1 second', released_at) AS "since!",
               CASE WHEN bound_since <= greatest(now() - $2::double precision * interval '1 second', released_at)
                   THEN decided_bound END AS decided,
               (coalesce((SELECT value FROM counters WHERE counter = $3), 0)
                   + coalesce((SELECT sum(c.change) FROM counter_changes c WHERE c.counter = $3), 0))::bigint AS "waiting!""#,
        change.as_str(),
        window.as_secs_f64(),
        waiting(change),
        changes
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(row.of(change))
}

/// Raises the bound of one kind by changes that may be decided from now on. Locks its row.
pub async fn permit(tx: &mut Tx<'_>, change: RoleChange, changes: i64) -> Result<(), StoreError> {
    let raised = sqlx::query!(
        "UPDATE brakes SET decided_bound = decided_bound + $2 WHERE change = $1",
        change.as_str(),
        changes
    );
    raised.execute(&mut *tx).await?;
    Ok(())
}

/// State of the brake of one kind of change, without a lock.
pub async fn seen(tx: &mut Tx<'_>, change: RoleChange, window: Duration) -> Result<Locked, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT engaged_at IS NOT NULL AS "engaged!", start.since AS "since!",
               CASE WHEN bound_since <= start.since THEN decided_bound END AS decided,
               (coalesce((SELECT value FROM counters WHERE counter = $3), 0)
                   + coalesce((SELECT sum(c.change) FROM counter_changes c WHERE c.counter = $3), 0))::bigint AS "waiting!"
           FROM brakes
           CROSS JOIN LATERAL (SELECT greatest(now() - $2::double precision * interval '1 second', released_at) AS since) AS start
           WHERE change = $1"#,
        change.as_str(),
        window.as_secs_f64(),
        waiting(change)
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(row.of(change))
}

/// The row of one kind of change.
struct Row {
    engaged: bool,
    since: OffsetDateTime,
    decided: Option<i64>,
    waiting: i64,
}

impl Row {
    fn of(self, change: RoleChange) -> Locked {
        Locked {
            change,
            engaged: self.engaged,
            decided: self.decided,
            waiting: self.waiting,
            since: self.since,
        }
    }
}

/// Counter of the queued users under the priority of one kind of change.
fn waiting(change: RoleChange) -> &'static str {
    match change {
        RoleChange::Revoked => "waiting_0",
        RoleChange::Granted => "waiting_1",
    }
}

/// The engaged brakes; they stay engaged until the transaction ends.
pub async fn engaged(tx: &mut Tx<'_>) -> Result<Vec<RoleChange>, StoreError> {
    let engaged = sqlx::query_scalar!(
        "SELECT change FROM brakes WHERE engaged_at IS NOT NULL AND change IN ('granted', 'revoked') ORDER BY change FOR SHARE"
    );
    let engaged = engaged.fetch_all(&mut *tx).await?;
    Ok(engaged.iter().map(|text| change(text)).collect())
}

/// A change from its value in the table.
pub(super) fn change(text: &str) -> RoleChange {
    RoleChange::to(text == "granted")
}

impl Locked {
    /// An upper bound of the users that change inside the window, if one is known. Reads no decision and no queue; a user
    /// may count twice.
    #[must_use]
    pub fn bound(&self) -> Option<i64> {
        Some(self.decided?.saturating_add(self.waiting))
    }

    /// Counts the users that change inside the window, these included: decided already, or waiting for an attempt under
    /// the priority of this kind of change. Reads all decisions of the window, and of the rest up to `enough` in all. The
    /// bound follows the count; `unseen` changes may be decided without being in it.
    pub async fn changing(
        &self,
        tx: &mut Tx<'_>,
        users: &[String],
        enough: i64,
        unseen: i64,
    ) -> Result<i64, StoreError> {
        // A plan made without the start of the window would read the whole audit.
        tx.plan_each_time().await?;
        let counted = sqlx::query!(
            r#"-- Materialized, or the limit below makes the planner read the audit by user.
               WITH decided AS MATERIALIZED (
                   SELECT DISTINCT r.user_id FROM role_changes r
                   WHERE r.change = $1 AND r.decided_at > $3 AND NOT r.released AND r.reason IS NULL
                     AND (r.outcome IS NULL OR r.outcome IN ('written', 'confirmed'))
               )
               SELECT count(*) AS "all!", (SELECT count(*) FROM decided) AS "decided!" FROM (
                   SELECT user_id COLLATE "C" FROM UNNEST($2::text[]) AS passing(user_id)
                   UNION
                   SELECT user_id FROM decided
                   UNION
                   (SELECT n.user_id FROM work_queue n
                    WHERE n.priority = CASE WHEN $1 = 'revoked' THEN 0 ELSE 1 END::smallint
                      -- including delayed and backed-off users, but not running timers: two index ranges
                      AND (n.due_at <= now() + $5::double precision * interval '1 second' OR n.attempts > 0)
                      AND n.parked_at IS NULL AND n.held_by IS NULL
                      -- only adopted roles can be revoked
                      AND CASE WHEN $1 = 'revoked'
                          THEN NOT n.pass_revokes AND EXISTS (SELECT 1 FROM assignments a WHERE a.user_id = n.user_id AND a.adopted)
                          ELSE NOT n.pass_grants END
                    LIMIT $4)
                   LIMIT $4
               ) AS changing"#,
            self.change.as_str(),
            users,
            self.since,
            enough,
            super::work_queue::MIN_INTERVAL.as_secs_f64()
        );
        let counted = counted.fetch_one(&mut *tx).await?;
        let passing = i64::try_from(users.len()).unwrap_or(i64::MAX);
        sqlx::query!(
            "UPDATE brakes SET decided_bound = $2, bound_since = $3 WHERE change = $1",
            self.change.as_str(),
            counted.decided.saturating_add(passing).saturating_add(unseen),
            self.since
        )
        .execute(&mut *tx)
        .await?;
        Ok(counted.all)
    }

    /// Number of users that held a role at the start of the window; for revokes, an adopted one. May be a minute old.
    pub async fn holders(&self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let serves = sqlx::query_scalar!(
            "SELECT holders FROM brakes WHERE change = $1 AND counted_at > now() - $2::double precision * interval '1 second'",
            self.change.as_str(),
            HOLDERS_SERVE.as_secs_f64()
        );
        if let Some(holders) = serves.fetch_optional(&mut *tx).await?.flatten() {
            return Ok(holders);
        }
        let counted = sqlx::query_scalar!(
            r#"WITH done AS (
                   SELECT DISTINCT r.user_id FROM role_changes r
                   WHERE r.change = $1 AND NOT r.released AND r.completed_at IS NOT NULL AND r.reason IS NULL
                     AND r.decided_at > $2
               ), holds AS (
                   SELECT EXISTS (SELECT FROM assignments a
                       WHERE a.user_id = done.user_id AND a.has_role AND (a.adopted OR $1 = 'granted')) AS now FROM done
               ), counted AS (
                   SELECT value FROM counters WHERE counter = CASE WHEN $1 = 'granted' THEN 'users_with_role' ELSE 'users_adopted' END
                   UNION ALL
                   SELECT change FROM counter_changes WHERE counter = CASE WHEN $1 = 'granted' THEN 'users_with_role' ELSE 'users_adopted' END
               )
               UPDATE brakes SET counted_at = now(), holders = greatest(0,
                   coalesce((SELECT sum(value) FROM counted), 0)
                   -- a user that lost it inside the window held it at its start, and a user that was granted it did not
                   + CASE WHEN $1 = 'granted' THEN -(SELECT count(*) FROM holds WHERE now)
                       ELSE (SELECT count(*) FROM holds WHERE NOT now) END)::bigint
               WHERE change = $1 RETURNING holders AS "holders!""#,
            self.change.as_str(),
            self.since
        );
        Ok(counted.fetch_one(&mut *tx).await?)
    }

    /// Engages the brake: from here on every change of its kind is held.
    pub async fn engage(&self, tx: &mut Tx<'_>, changes: i64) -> Result<(), StoreError> {
        sqlx::query!(
            // Unlike a claim, a brake that was reported as engaged must outlive a crash: the commit waits for the disk as usual.
            r#"UPDATE brakes SET engaged_at = now(), changes = $2 WHERE change = $1
               RETURNING set_config('synchronous_commit', (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'), true) AS commit"#,
            self.change.as_str(),
            changes
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Number of due users under the priority of one kind of change who are neither held nor released: their changes count.
    pub async fn not_released(&self, change: RoleChange) -> Result<i64, StoreError> {
        let due = sqlx::query_scalar!(
            r#"SELECT count(*) AS "due!" FROM work_queue
               WHERE priority = CASE WHEN $1 = 'revoked' THEN 0 ELSE 1 END::smallint
                 AND due_at <= now() AND parked_at IS NULL AND held_by IS NULL
                 AND NOT CASE WHEN $1 = 'revoked' THEN pass_revokes ELSE pass_grants END"#,
            change.as_str()
        );
        Ok(due.fetch_one(&self.pool).await?)
    }

    /// State of a brake, with at most `show` of the users it holds behind `after`.
    pub async fn brake(&self, change: RoleChange, after: &str, show: i64) -> Result<BrakeState, StoreError> {
        let mut tx = self.begin().await?;
        let marks = marks(change);
        let row = sqlx::query!(
            r#"SELECT engaged_at, changes, holders,
                   (SELECT count(*) FROM (
                       -- one index range for each mark and column
                       SELECT held.user_id FROM UNNEST($2::text[]) AS of(mark) CROSS JOIN LATERAL (
                           SELECT user_id FROM work_queue WHERE held_by = of.mark ORDER BY user_id LIMIT $3) AS held
                       UNION
                       SELECT enqueued.user_id FROM UNNEST($2::text[]) AS of(mark) CROSS JOIN LATERAL (
                           SELECT user_id FROM work_queue WHERE last_held_by = of.mark ORDER BY user_id LIMIT $3) AS enqueued
                   ) AS held) AS "held!",
                   (SELECT count(*) FROM (
                       SELECT FROM work_queue
                       WHERE priority = CASE WHEN $1 = 'revoked' THEN 0 ELSE 1 END::smallint
                         AND due_at <= now() AND parked_at IS NULL AND held_by IS NULL
                         AND (last_held_by = ANY($2::text[])) IS NOT TRUE LIMIT $3) AS waiting) AS "waiting!"
               FROM brakes WHERE change = $1"#,
            change.as_str(),
            &marks as &[&str],
            COUNTED_AT_MOST + 1
        )
        .fetch_one(&mut tx)
        .await?;
        let held = slices::next_held(&mut tx, &marks, after, show).await?;
        let first = sqlx::query!(
            r#"SELECT h.user_id AS "user_id!", coalesce(array_agg(a.role ORDER BY a.role) FILTER (WHERE a.role IS NOT NULL), '{}') AS "roles!"
               FROM UNNEST($2::text[]) AS h(user_id)
               LEFT JOIN assignments a ON a.user_id = h.user_id
                 AND CASE WHEN $1 = 'revoked' THEN a.has_role AND a.adopted AND NOT a.wanted ELSE a.wanted AND NOT a.has_role AND NOT a.suppressed END
                 -- no brake holds a pinned role
                 AND NOT EXISTS (SELECT FROM pins p WHERE p.user_id = ANY(ARRAY(SELECT i.alias FROM identities i WHERE i.primary_id = a.user_id) || a.user_id)
                   AND p.role = a.role AND (p.until IS NULL OR p.until > now()))
               GROUP BY h.user_id ORDER BY h.user_id COLLATE "C""#,
            change.as_str(),
            &held
        )
        .fetch_all(&mut tx)
        .await?;
        Ok(BrakeState {
            engaged_at: row.engaged_at,
            counted: row.changes.zip(row.holders),
            held: Capped::of(row.held, COUNTED_AT_MOST),
            waiting: Capped::of(row.waiting, COUNTED_AT_MOST),
            first: first.into_iter().map(|row| (row.user_id, row.roles)).collect(),
        })
    }
}
