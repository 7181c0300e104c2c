//! Tables `gone_users` and `gone_brake`: users deleted at Auth0, and the brake on a mass of them.
//!
//! Owns the mark, and the data kept under it and its retention. Must never remove an assignment or a requested name of
//! a user whose mark is younger than its retention, unless another account has the id; nor a role that stays removed: users
//! delete accounts and sign up again by themselves.

use std::time::Duration;

use time::OffsetDateTime;

use super::brakes::COUNTED_AT_MOST;
use super::slices::{self, SLICE, Slice};
use super::{Enqueue, Priority, Store, StoreError, Tx, work_queue};
use rolekeeper_domain::brake::GONE_WINDOW;
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::view::Capped;

/// Retention of a user's data after Auth0 has reported the user as deleted.
pub(super) const KEPT: Duration = Duration::from_hours(30 * 24);
/// Marks removed in one step.
const BATCH: i64 = 500;
/// Maximum number of users counted exactly; beyond it Postgres' own statistics are used.
const COUNTED: i64 = 20_000;
/// How long a count of known users is cached.
const KNOWN_SERVE: Duration = Duration::from_mins(1);

/// The brake, locked until the transaction ends.
#[derive(Debug)]
pub struct Locked {
    /// Whether deletions are held.
    pub engaged: bool,
    /// Only later marks count.
    since: OffsetDateTime,
}

/// State of the brake, as the operator sees it.
#[derive(Debug)]
pub struct GoneBrake {
    /// Time since which it is engaged; `None` if it is not.
    pub engaged_at: Option<OffsetDateTime>,
    /// Number of users that would have been marked when it engaged, and number of known users.
    pub counted: Option<(i64, i64)>,
    /// Number of held users.
    pub held: Capped,
    /// The first held users.
    pub first: Vec<String>,
}

/// Whether Auth0 has responded for the user before, or a role was seen, and no mark stands.
pub async fn is_known(tx: &mut Tx<'_>, user: &str) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM gone_users WHERE user_id = $1)
               AND (EXISTS (SELECT FROM users WHERE user_id = $1 AND fetched_at IS NOT NULL AND gone_at IS NULL)
                 OR EXISTS (SELECT FROM assignments WHERE user_id = $1 AND has_role)) AS "known!""#,
        user
    );
    Ok(known.fetch_one(&mut *tx).await?)
}

/// Locks the brake.
pub async fn lock(tx: &mut Tx<'_>, window: Duration) -> Result<Locked, StoreError> {
    let row = sqlx::query!(
        r#"SELECT engaged_at IS NOT NULL AS "engaged!",
               greatest(now() - $1::double precision * interval '1 second', released_at) AS "since!"
           FROM gone_brake FOR UPDATE"#,
        window.as_secs_f64()
    );
    let row = row.fetch_one(&mut *tx).await?;
    Ok(Locked {
        engaged: row.engaged,
        since: row.since,
    })
}

impl Locked {
    /// Number of known users marked inside the window; stops counting at `enough`.
    pub async fn gone(&self, tx: &mut Tx<'_>, enough: i64) -> Result<i64, StoreError> {
        let gone = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM (
                   SELECT FROM gone_users WHERE marked_at > $1 AND known AND NOT released LIMIT $2) AS gone"#,
            self.since,
            enough
        );
        Ok(gone.fetch_one(&mut *tx).await?)
    }

    /// Number of known users, at most a minute old: counted up to a bound, estimated beyond it.
    pub async fn known(&self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let serves = sqlx::query_scalar!(
            "SELECT known FROM gone_brake WHERE counted_at > now() - $1::double precision * interval '1 second'",
            KNOWN_SERVE.as_secs_f64()
        );
        if let Some(known) = serves.fetch_optional(&mut *tx).await?.flatten() {
            return Ok(known);
        }
        let known = sqlx::query_scalar!(
            r#"WITH counted AS (SELECT count(*) AS exact FROM (SELECT FROM users LIMIT $1) AS few)
               UPDATE gone_brake SET counted_at = now(), known = CASE WHEN exact < $1 THEN exact + (
                       -- holders who were found by a search, and not read yet
                       SELECT count(DISTINCT user_id) FROM (
                           SELECT user_id FROM assignments a WHERE has_role AND NOT EXISTS (SELECT FROM users u WHERE u.user_id = a.user_id) LIMIT $1
                       ) AS found)
                   ELSE greatest(exact, (SELECT reltuples::bigint FROM pg_class WHERE oid = 'users'::regclass)) END
               FROM counted RETURNING known AS "known!""#,
            COUNTED
        );
        Ok(known.fetch_one(&mut *tx).await?)
    }

    /// Engages the brake: from here on deletions are held.
    pub async fn engage(&self, tx: &mut Tx<'_>, users: i64) -> Result<(), StoreError> {
        sqlx::query!("UPDATE gone_brake SET engaged_at = now(), users = $1", users)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}

/// Marks a user as of the date of Auth0's response, and delays the next verification. Returns whether no mark stood
/// before.
pub async fn mark(
    tx: &mut Tx<'_>,
    user: &str,
    at: Option<OffsetDateTime>,
    (known, released): (bool, bool),
) -> Result<bool, StoreError> {
    let marked = sqlx::query!(
        "INSERT INTO gone_users (user_id, gone_at, known, released) VALUES ($1, coalesce($2, now()), $3, $4)
         ON CONFLICT DO NOTHING",
        user,
        at,
        known,
        released
    );
    let fresh = marked.execute(&mut *tx).await?.rows_affected() == 1;
    sqlx::query!(
        "UPDATE assignments SET verified_at = now() WHERE user_id = $1",
        user
    )
    .execute(&mut *tx)
    .await?;
    Ok(fresh)
}

/// Removes the mark: Auth0 knows the same account again.
pub async fn unmark(tx: &mut Tx<'_>, user: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM gone_users WHERE user_id = $1", user)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Removes the data of the previous account of the id; another account, created at `created_at`, has it now. Our writes
/// stay, so that a late record is recognized as their echo; attempts ignore writes from before the account. Roles that stay removed
/// stay so, and so do removals, with what their judgment needs: those that wait for the operator, and those that wait for a record.
pub async fn replace(tx: &mut Tx<'_>, user: &str, created_at: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH assigned AS (
                  DELETE FROM assignments a WHERE user_id = $1 AND NOT suppressed
                      AND NOT EXISTS (SELECT FROM removals r WHERE r.user_id = a.user_id AND r.role = a.role AND r.state = 'waiting')
              ),
              own AS (DELETE FROM own_decisions WHERE user_id = $1),
              requested AS (DELETE FROM display_names WHERE user_id = $1 AND coalesce(requested_at, refused_at) < $2),
              theirs AS (
                  DELETE FROM foreign_writes WHERE user_id = $1 AND written_at < $2
                      AND NOT EXISTS (SELECT FROM removals WHERE user_id = $1 AND state = 'waiting')
              ),
              raced AS (DELETE FROM races WHERE user_id = $1)
         DELETE FROM gone_users WHERE user_id = $1",
        user,
        created_at
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Lets the next held users pass: each is read at Auth0 again.
pub(super) async fn slice(tx: &mut Tx<'_>, after: &str) -> Result<Slice, StoreError> {
    let next = slices::next_held(tx, &[HeldBy::GoneBrake.as_str()], after, SLICE).await?;
    let passed = sqlx::query!(
        "WITH held AS (
             SELECT user_id FROM work_queue WHERE user_id = ANY($1::text[]) AND (held_by = $2 OR last_held_by = $2)
             ORDER BY user_id FOR UPDATE
         )
         UPDATE work_queue n SET held_by = NULL, held_until = NULL, last_held_by = NULL, due_at = now(), force_fetch = true, pass_gone = true
         FROM held WHERE n.user_id = held.user_id",
        &next,
        HeldBy::GoneBrake.as_str()
    );
    let users = passed.execute(&mut *tx).await?.rows_affected();
    Ok(Slice::of(next, users))
}

/// Enqueues the next users behind `after` that were marked in the window before the brake engaged: each is read at Auth0
/// again. Returns the last one.
pub(super) async fn enqueue_marked(
    tx: &mut Tx<'_>,
    after: &str,
    most: i64,
) -> Result<Option<String>, StoreError> {
    let marked = sqlx::query_scalar!(
        "SELECT user_id FROM gone_users
         WHERE user_id > $1 AND marked_at > (SELECT engaged_at FROM gone_brake) - $2::double precision * interval '1 second'
         ORDER BY user_id LIMIT $3",
        after,
        GONE_WINDOW.as_secs_f64(),
        most
    );
    let marked = marked.fetch_all(&mut *tx).await?;
    let last = marked.last().cloned();
    let mut entries: Vec<_> = marked
        .into_iter()
        .map(|user| Enqueue::to_read(user, Priority::Verify))
        .collect();
    work_queue::enqueue(tx, &mut entries).await?;
    Ok(last)
}

/// Time since which the brake is engaged, without a lock.
pub(super) async fn engaged_at(tx: &mut Tx<'_>) -> Result<Option<OffsetDateTime>, StoreError> {
    let engaged = sqlx::query_scalar!("SELECT engaged_at FROM gone_brake");
    Ok(engaged.fetch_one(&mut *tx).await?)
}

/// Releases the brake if it is engaged; its count restarts. Returns whether it was.
pub(super) async fn disengage(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let released = sqlx::query!(
        "UPDATE gone_brake SET engaged_at = NULL, users = NULL, counted_at = NULL, released_at = clock_timestamp()
         WHERE engaged_at IS NOT NULL"
    );
    Ok(released.execute(&mut *tx).await?.rows_affected() > 0)
}

impl Store {
    /// State of the brake, with at most `show` of the users it holds behind `after`.
    pub async fn gone_brake(&self, after: &str, show: i64) -> Result<GoneBrake, StoreError> {
        let row = sqlx::query!(
            r#"SELECT engaged_at, users, known,
                   (SELECT count(*) FROM (SELECT FROM work_queue WHERE held_by = $1 ORDER BY user_id LIMIT $4) AS held) AS "held!",
                   ARRAY(SELECT user_id FROM work_queue WHERE held_by = $1 AND user_id > $3 ORDER BY user_id LIMIT $2) AS "first!"
               FROM gone_brake"#,
            HeldBy::GoneBrake.as_str(),
            show,
            after,
            COUNTED_AT_MOST + 1
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(GoneBrake {
            engaged_at: row.engaged_at,
            counted: row.users.zip(row.known),
            held: Capped::of(row.held, COUNTED_AT_MOST),
            first: row.first,
        })
    }

    /// Removes users deleted for longer than the retention, one batch; queued users wait for the next batch.
    pub async fn forget_gone(&self) -> Result<u64, StoreError> {
        let forgotten = sqlx::query!(
            "WITH old AS (
                 SELECT user_id FROM gone_users g
                 WHERE marked_at < now() - $1::double precision * interval '1 second'
                   AND NOT EXISTS (SELECT FROM work_queue n WHERE n.user_id = g.user_id)
                 ORDER BY marked_at LIMIT $2 FOR UPDATE SKIP LOCKED
             ), assigned AS (
                 DELETE FROM assignments a USING old WHERE a.user_id = old.user_id AND NOT a.suppressed
             ), own AS (
                 DELETE FROM own_decisions o USING old WHERE o.user_id = old.user_id
             ), removed AS (
                 DELETE FROM removals r USING old WHERE r.user_id = old.user_id AND r.state = 'waiting'
             ), requested AS (
                 DELETE FROM display_names d USING old WHERE d.user_id = old.user_id
             )
             DELETE FROM gone_users g USING old WHERE g.user_id = old.user_id",
            KEPT.as_secs_f64(),
            BATCH
        );
        let forgotten = forgotten.execute(&self.pool).await?.rows_affected();
        crash_point!("forgotten");
        Ok(forgotten)
    }
}
