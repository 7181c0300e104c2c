//! Table `profile_writes`: every PATCH that rolekeeper sends.
//!
//! Owns the state of our writes: sent, done, closed, recorded in the tenant's log. They are ordered by Postgres' clock.
//! Must never treat a record as the echo of a write that was not seen completed, nor complete a write that was closed
//! because of a later profile.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Enqueue, Priority, Store, StoreError, Tx, string_list, work_queue};
use rolekeeper_domain::merge::{OurWrite, State, Window};

/// Maximum number of a user's newest writes considered.
const MOST: i64 = 100;
/// Writes followed up in one transaction.
const FOLLOW_UP_BATCH: i64 = 2_000;
/// Delay of another attempt on a user whose write was closed because an attempt did not see it.
const LATE_CHECK_AFTER: Duration = Duration::from_hours(24);
/// Maximum distance between the date of a record and the profile's own time. Pairs of records about one action were
/// dated up to 28 ms apart.
const DATE_SLACK: Duration = Duration::from_secs(2);
/// Maximum difference between Auth0's clock and Postgres' clock.
const CLOCKS_APART: Duration = Duration::from_secs(10);

/// The profile as our GET showed it before a write.
#[derive(Clone, Copy, Debug)]
pub struct ReadBefore<'a> {
    /// `app_metadata.roles`.
    pub roles: &'a [String],
    /// The profile's `updated_at`.
    pub updated_at: Option<OffsetDateTime>,
    /// `Date` of the response to the GET.
    pub date: Option<OffsetDateTime>,
    /// The profile's `created_at`.
    pub created_at: Option<OffsetDateTime>,
}

/// Time limits of a write.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Within this time an unanswered write arrives, or never.
    pub settle_delay: Duration,
    /// Duration of a lease: an attempt began this long before its lease ends.
    pub lease: Duration,
}

/// A write under our own client id, by the tenant's log.
#[derive(Clone, Debug)]
pub struct OwnRecord {
    /// The user whose profile was written.
    pub user: String,
    /// The whole array of roles after the write.
    pub roles: Vec<String>,
    /// Time of the write, by Auth0's clock.
    pub at: Option<OffsetDateTime>,
    /// Whether `at` is the profile's own `updated_at`, not the record's date.
    pub exact: bool,
}

/// Meaning of a record under our own client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnWrite {
    /// The echo of this completed write.
    Echo(Uuid),
    /// This write of ours, whose response was not read.
    Unread(Uuid),
    /// No write of ours: another program uses our credentials.
    Unknown,
}

/// Stores a write that is about to be sent; returns its id.
pub async fn attempt(
    tx: &mut Tx<'_>,
    user: &str,
    read: ReadBefore<'_>,
    (wrote, managed, resolved_since): (&[String], &[&str], Option<OffsetDateTime>),
) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO profile_writes (write_id, user_id, read_roles, read_updated_at, wrote_roles, resolved_since, recorded, read_date,
             managed, read_created_at)
         VALUES ($1, $2, $3, $4, $5, $6, false, $7, $8, $9)",
        id,
        user,
        Value::from(read.roles),
        read.updated_at,
        Value::from(wrote),
        resolved_since,
        read.date,
        managed as &[&str],
        read.created_at
    )
    .execute(&mut *tx)
    .await?;
    Ok(id)
}

/// Removes a stored write that changed nothing: it was not sent, or refused by the rate limit.
pub async fn without_effect(tx: &mut Tx<'_>, write: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM profile_writes WHERE write_id = $1 AND completed_at IS NULL AND NOT answered",
        write
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores that a write got a response, its time by Auth0's clock, and whether its attempt still records the result.
/// Returns false if the write is no longer stored.
pub async fn answered(
    tx: &mut Tx<'_>,
    write: Uuid,
    at: Option<OffsetDateTime>,
    recorded: bool,
) -> Result<bool, StoreError> {
    let noted = sqlx::query!(
        "UPDATE profile_writes SET completed_at = clock_timestamp(), wrote_updated_at = $2, answered = true, recorded = $3,
             closed = NULL
         WHERE write_id = $1 AND NOT answered",
        write,
        at,
        recorded
    );
    Ok(noted.execute(&mut *tx).await?.rows_affected() == 1)
}

/// Closes a write that Auth0 refused: it changed nothing.
pub async fn refused(tx: &mut Tx<'_>, write: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE profile_writes SET closed = 'refused', followed_up_at = coalesce(followed_up_at, now())
         WHERE write_id = $1 AND NOT answered",
        write
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Settles the writes without a response by the profile in an attempt's GET. Completes the newest write that produced
/// this profile, if the profile changed within the time in which an unanswered write arrives. A login since then also
/// changes `updated_at`, and its time is taken as the write's. Closes all other writes whose time was over when the
/// attempt began: they were not applied. The caller holds the lock on the user's row in the queue.
pub async fn settle(
    tx: &mut Tx<'_>,
    user: &str,
    shown: &State,
    Bounds { settle_delay, lease }: Bounds,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH open AS (
             SELECT w.write_id, w.attempted_at,
                 w.wrote_roles = $2 AND w.read_updated_at < $3 AND (w.wrote_updated_at IS NOT NULL
                     OR $3 <= w.attempted_at + ($4::double precision + $6::double precision) * interval '1 second') AS done,
                 -- a record reports it, so it was applied, and another write has changed the profile since
                 w.wrote_updated_at IS NULL AND w.attempted_at + $4::double precision * interval '1 second'
                     < n.lease_until - $5::double precision * interval '1 second' AS over
             FROM profile_writes w JOIN work_queue n USING (user_id)
             WHERE w.user_id = $1 AND w.completed_at IS NULL AND w.closed IS NULL
         ), newest AS (
             SELECT write_id FROM open WHERE done ORDER BY attempted_at DESC LIMIT 1
         ), completed AS (
             UPDATE profile_writes p SET completed_at = clock_timestamp(), wrote_updated_at = coalesce(p.wrote_updated_at, $3)
             FROM newest WHERE p.write_id = newest.write_id
         )
         UPDATE profile_writes p SET closed = 'not_seen', followed_up_at = coalesce(p.followed_up_at, now())
         FROM open WHERE p.write_id = open.write_id AND open.over AND open.write_id NOT IN (SELECT write_id FROM newest)",
        user,
        Value::from(shown.roles.clone()),
        shown.at,
        settle_delay.as_secs_f64(),
        lease.as_secs_f64(),
        CLOCKS_APART.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores that an attempt recorded the resulting managed roles, for all writes of a user up to this time of Auth0's
/// clock.
pub async fn recorded(tx: &mut Tx<'_>, user: &str, until: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE profile_writes SET recorded = true WHERE user_id = $1 AND NOT recorded AND wrote_updated_at <= $2",
        user,
        until
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Returns the meaning of each record.
pub async fn recognise(tx: &mut Tx<'_>, records: &[OwnRecord]) -> Result<Vec<OwnWrite>, StoreError> {
    let users: Vec<&str> = records.iter().map(|record| record.user.as_str()).collect();
    let roles: Vec<Value> = records
        .iter()
        .map(|record| Value::from(record.roles.clone()))
        .collect();
    let ats: Vec<Option<OffsetDateTime>> = records.iter().map(|record| record.at).collect();
    let slack = |record: &OwnRecord| {
        if record.exact {
            0.0
        } else {
            DATE_SLACK.as_secs_f64()
        }
    };
    let slacks: Vec<f64> = records.iter().map(slack).collect();
    let rows = sqlx::query!(
        r#"SELECT told.place AS "place!", w.write_id, w.echo AS "echo!"
           FROM UNNEST($1::text[], $2::jsonb[], $3::timestamptz[], $4::double precision[])
               WITH ORDINALITY AS told(user_id, roles, at, slack, place)
           CROSS JOIN LATERAL (
               SELECT write_id, answered, completed_at IS NOT NULL AND (wrote_updated_at IS NULL OR told.at IS NULL
                   OR abs(extract(epoch FROM told.at - wrote_updated_at)) <= told.slack) AS echo
               FROM profile_writes p
               WHERE p.user_id = told.user_id AND p.wrote_roles = told.roles AND p.closed IS DISTINCT FROM 'refused'
               ORDER BY echo DESC, answered, attempted_at DESC LIMIT 1
           ) AS w
           -- a write with a response was done at the time of the response, and not a second time
           WHERE w.echo OR NOT w.answered"#,
        &users as &[&str],
        &roles,
        &ats as &[Option<OffsetDateTime>],
        &slacks
    );
    let mut known = vec![OwnWrite::Unknown; records.len()];
    for row in rows.fetch_all(&mut *tx).await? {
        let is = if row.echo {
            OwnWrite::Echo
        } else {
            OwnWrite::Unread
        };
        let place = usize::try_from(row.place - 1).ok();
        if let Some(known) = place.and_then(|place| known.get_mut(place)) {
            *known = is(row.write_id);
        }
    }
    Ok(known)
}

/// Stores that records reported our writes as done; also the time of each (write and time) where no response gave one.
pub async fn acknowledge(
    tx: &mut Tx<'_>,
    writes: &[(Uuid, Option<OffsetDateTime>)],
) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = writes.iter().map(|(id, _)| *id).collect();
    let ats: Vec<Option<OffsetDateTime>> = writes.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        "UPDATE profile_writes p SET followed_up_at = coalesce(p.followed_up_at, now()),
             -- done later than an attempt assumed: that attempt recorded the result of another write
             recorded = p.recorded AND (p.answered OR told.at IS NULL OR coalesce(told.at <= p.wrote_updated_at, false)),
             wrote_updated_at = CASE WHEN p.answered THEN p.wrote_updated_at ELSE coalesce(told.at, p.wrote_updated_at) END,
             -- a frozen worker's write came after the attempt that did not see it
             closed = CASE WHEN told.at IS NULL THEN p.closed END
         FROM UNNEST($1::uuid[], $2::timestamptz[]) AS told(write_id, at) WHERE p.write_id = told.write_id",
        &ids,
        &ats as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The newest writes of a user with a known time, newest first.
pub async fn of_user(tx: &mut Tx<'_>, user: &str) -> Result<Vec<(Uuid, OurWrite)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT write_id, read_roles, read_updated_at AS "read_at!", wrote_roles, wrote_updated_at AS "wrote_at!", resolved_since,
               managed, recorded, CASE WHEN answered THEN read_date END AS read_date
           FROM profile_writes
           WHERE user_id = $1 AND read_updated_at IS NOT NULL AND wrote_updated_at IS NOT NULL AND closed IS NULL
           ORDER BY attempted_at DESC LIMIT $2"#,
        user,
        MOST
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    rows.into_iter()
        .map(|row| {
            let read = State {
                at: row.read_at,
                roles: string_list("profile_writes", "read_roles", &row.read_roles)?,
            };
            let wrote = State {
                at: row.wrote_at,
                roles: string_list("profile_writes", "wrote_roles", &row.wrote_roles)?,
            };
            let managed = match (row.managed, row.resolved_since) {
                (Some(managed), _) => managed,
                // Stored by an older release without this value; all of its changes were of managed roles.
                (None, None) => difference(&read.roles, &wrote.roles),
                (None, Some(_)) => vec![],
            };
            Ok((
                row.write_id,
                OurWrite {
                    read,
                    wrote,
                    managed,
                    resolved_since: row.resolved_since,
                    recorded: row.recorded,
                    window: row.read_date.map(|read| Window::between(read, row.wrote_at)),
                },
            ))
        })
        .collect()
}

/// Roles in only one of the lists.
fn difference(one: &[String], other: &[String]) -> Vec<String> {
    let gone = one.iter().filter(|role| !other.contains(role));
    let new = other.iter().filter(|role| !one.contains(role));
    gone.chain(new).cloned().collect()
}

impl Store {
    /// Queues users whose write has an unknown result: no response was read, or no record came although one came for a
    /// later write. Each is queued once, `settle_delay` after it was sent. Returns the number of users.
    pub async fn follow_up_writes(&self, settle_delay: Duration) -> Result<u64, StoreError> {
        let mut users = 0;
        loop {
            let (asked, queued) = self.follow_up_batch(settle_delay).await?;
            users += queued;
            if asked < FOLLOW_UP_BATCH.unsigned_abs() {
                return Ok(users);
            }
        }
    }

    /// Follows up the oldest of these writes. Returns the number of writes and of users.
    async fn follow_up_batch(&self, settle_delay: Duration) -> Result<(u64, u64), StoreError> {
        let mut tx = self.begin().await?;
        let asked = sqlx::query!(
            r#"WITH settled AS MATERIALIZED (
                   SELECT now() - $1::double precision * interval '1 second' AS before
               ), told AS MATERIALIZED (
                   -- the newest write with a record: computed once, since it does not depend on the user
                   SELECT attempted_at AS newest FROM profile_writes
                   WHERE completed_at IS NOT NULL AND followed_up_at IS NOT NULL
                     AND followed_up_at < (SELECT before FROM settled)
                   ORDER BY attempted_at DESC LIMIT 1
               )
               SELECT write_id AS "write_id!", user_id AS "user_id!" FROM (
                   (SELECT write_id, user_id FROM profile_writes
                    WHERE completed_at IS NULL AND followed_up_at IS NULL AND attempted_at < (SELECT before FROM settled)
                    ORDER BY attempted_at LIMIT $2)
                   UNION ALL
                   (SELECT write_id, user_id FROM profile_writes
                    WHERE completed_at IS NOT NULL AND followed_up_at IS NULL
                      AND attempted_at < least((SELECT before FROM settled), (SELECT newest FROM told))
                      AND EXISTS (SELECT FROM told)
                    ORDER BY attempted_at LIMIT $2)
                   UNION ALL
                   -- a write that an attempt did not see may have been delayed on its way
                   (SELECT write_id, user_id FROM profile_writes
                    WHERE closed = 'not_seen' AND late_check_at IS NULL
                      AND attempted_at < now() - $3::double precision * interval '1 second'
                    ORDER BY attempted_at LIMIT $2)
               ) AS unknown LIMIT $2"#,
            settle_delay.as_secs_f64(),
            FOLLOW_UP_BATCH,
            LATE_CHECK_AFTER.as_secs_f64()
        )
        .fetch_all(&mut tx)
        .await?;
        if asked.is_empty() {
            return Ok((0, 0));
        }
        let users: BTreeSet<&String> = asked.iter().map(|row| &row.user_id).collect();
        let mut entries: Vec<Enqueue> = users
            .into_iter()
            .map(|user| Enqueue::to_read(user, Priority::Verify))
            .collect();
        // Locks the queue first, in the same order as reconcile.
        work_queue::enqueue(&mut tx, &mut entries).await?;
        let ids: Vec<Uuid> = asked.iter().map(|row| row.write_id).collect();
        sqlx::query!(
            "UPDATE profile_writes SET followed_up_at = coalesce(followed_up_at, now()),
                 -- the follow-up of a write that an attempt has closed just before is no late check
                 late_check_at = CASE WHEN closed = 'not_seen' AND attempted_at < now() - $2::double precision * interval '1 second'
                     THEN now() ELSE late_check_at END
             WHERE write_id = ANY($1)",
            &ids,
            LATE_CHECK_AFTER.as_secs_f64()
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("followed_up");
        Ok((asked.len() as u64, entries.len() as u64))
    }
}
