//! Table `work_queue` during an attempt: claim, lease and result.
//!
//! Owns the lease. Must never record the result of an attempt that lost its lease, nor drop an enqueueing that happened
//! during the attempt.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::work_queue::{BY_RECORD, Cause, DEBOUNCE, MAX_DEBOUNCE, MIN_INTERVAL, Order};
use super::{Channel, StoreError, Tx};
use rolekeeper_domain::held::HeldBy;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::plan::RoleChange;

/// A user claimed by an attempt.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Claim {
    /// The user id.
    pub user: UserId<'static>,
    /// Id of the attempt.
    pub lease: Uuid,
    /// Generation at the claim.
    pub generation: i64,
    /// The profile must be read.
    pub force_fetch: bool,
    /// The event that caused it, if any.
    pub cause: Option<Cause>,
    /// Failed attempts before this one.
    pub attempts: i32,
    /// Code of the last failure, equal for failures with the same cause.
    pub failure: Option<String>,
    /// Time for which the user had been due, in milliseconds.
    pub queued_ms: i64,
    /// Time of the claim, by Postgres' clock: every request of the attempt is later.
    pub asked_at: OffsetDateTime,
    /// Priority at the claim.
    pub priority: i16,
    /// The attempt was caused only by records of the tenant's log.
    pub by_record: bool,
    /// The operator released revokes of this user from the brake.
    pub pass_revokes: bool,
    /// The operator released grants of this user from the brake.
    pub pass_grants: bool,
    /// The operator released the deletion of this user from the brake.
    pub pass_gone: bool,
    /// Auth0 did not know the user at the last attempt, and the brake on deleted users held that, or it was released since.
    pub was_gone: bool,
}

/// Failure code for an unintelligible response.
pub const ILLEGIBLE: &str = "bad_answer";

impl Claim {
    /// Whether the last attempt failed because of an unintelligible response, so that this one requests less.
    #[must_use]
    pub fn was_illegible(&self) -> bool {
        self.attempts > 0 && self.failure.as_deref() == Some(ILLEGIBLE)
    }

    /// Whether the operator released this kind of change of the user from the brake.
    #[must_use]
    pub fn passes(&self, change: RoleChange) -> bool {
        match change {
            RoleChange::Granted => self.pass_grants,
            RoleChange::Revoked => self.pass_revokes,
        }
    }
}

/// Claims the `most` most urgent due users for `lease_for`; at most one user enqueued by records alone, and only with
/// `by_record`. Claims none if no user is due, if the rules in force are not `rules`, while the operator has paused
/// rolekeeper, or while counts are rebuilt.
pub async fn claim(
    tx: &mut Tx<'_>,
    lease: Uuid,
    lease_for: Duration,
    rules: &str,
    (by_record, order, most): (bool, Order, i64),
) -> Result<Vec<Claim>, StoreError> {
    let rows = sqlx::query!(
        r#"WITH pick AS (
               SELECT due.* FROM UNNEST($6::smallint[]) AS level(priority)
               CROSS JOIN LATERAL (
                   -- one short index range per priority: users due later are not scanned
                   SELECT n.user_id, n.force_fetch OR n.lease IS NOT NULL AS force_fetch FROM work_queue n
                   WHERE n.priority = level.priority AND (level.priority <> $4 OR $5) AND n.due_at <= now() AND n.parked_at IS NULL AND n.held_by IS NULL
                     AND (n.lease IS NULL OR n.lease_until < now())
                   ORDER BY n.due_at LIMIT CASE WHEN level.priority = $4 THEN 1 ELSE $7::bigint END FOR UPDATE SKIP LOCKED
               ) AS due
               WHERE EXISTS (SELECT 1 FROM rules_in_force WHERE fingerprint = $3) AND NOT EXISTS (SELECT 1 FROM pause)
                 AND NOT EXISTS (SELECT 1 FROM rebuild WHERE holds_until > now())
               LIMIT $7
           )
           UPDATE work_queue n SET lease = $1, lease_until = now() + $2::double precision * interval '1 second', force_fetch = false
           FROM pick WHERE n.user_id = pick.user_id
           RETURNING n.user_id, n.generation, pick.force_fetch AS "force_fetch!", n.attempts, n.cause_event, n.cause_plays,
               n.cause_stored_at AS stored_at, n.cause_seq AS seq, n.cause_trace, n.failure, n.pass_revokes, n.pass_grants, n.pass_gone, n.priority,
               n.pass_gone OR n.last_held_by IS NOT DISTINCT FROM 'brake_gone' AS "was_gone!", now() AS "asked_at!",
               (extract(epoch FROM now() - greatest(n.due_at, n.enqueued_at)) * 1000)::bigint AS "queued_ms!",
               -- the attempt need not wait for the disk: after a crash that loses the claim the user is due again
               set_config('synchronous_commit', 'off', true)
                   -- and one user whose rows are locked must not hold up the others
                   || set_config('lock_timeout', '1s', true) AS settings"#,
        lease,
        lease_for.as_secs_f64(),
        rules,
        BY_RECORD,
        by_record,
        &order.levels(),
        most
    );
    let mut claims = Vec::new();
    for row in rows.fetch_all(&mut *tx).await? {
        let (event, plays, at) = (row.cause_event, row.cause_plays, row.stored_at);
        let cause = Cause::of(event, plays, at, row.seq, row.cause_trace);
        let user = UserId::parse(row.user_id.clone()).map_err(|_| StoreError::Inconsistent {
            table: "work_queue",
            column: "user_id",
            value: row.user_id,
        })?;
        claims.push(Claim {
            user,
            lease,
            generation: row.generation,
            force_fetch: row.force_fetch,
            cause,
            attempts: row.attempts,
            queued_ms: row.queued_ms.max(0),
            asked_at: row.asked_at,
            priority: row.priority,
            by_record: row.priority == BY_RECORD,
            pass_revokes: row.pass_revokes,
            pass_grants: row.pass_grants,
            pass_gone: row.pass_gone,
            was_gone: row.was_gone,
            failure: row.failure,
        });
    }
    // Postgres returns the rows of an UPDATE in no order.
    claims.sort_by_key(|claim| claim.priority);
    Ok(claims)
}

/// State of the queue for an attempt that still has its lease.
#[derive(Debug)]
pub struct Ours {
    /// Current generation.
    pub generation: i64,
    /// A fresh read was requested meanwhile, and the user has not waited too long for one: other clients that write
    /// without end do not block a revoke.
    pub read_again: bool,
    /// The event that caused the attempt by now; it may have come while the profile was read.
    pub cause: Option<Cause>,
    /// An event caused another enqueueing, and the user's debounce has not reached its maximum.
    pub flapping: bool,
}

/// Locks the user's row in the queue if the attempt still has its lease.
pub async fn still_ours(tx: &mut Tx<'_>, claim: &Claim) -> Result<Option<Ours>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT generation, force_fetch, cause_event, cause_plays, cause_stored_at AS stored_at, cause_seq AS seq, cause_trace,
               now() < enqueued_at + $3::double precision * interval '1 second' AS "may_debounce!",
               coalesce(now() < reread_since + $3::double precision * interval '1 second', true) AS "may_read_again!"
           FROM work_queue WHERE user_id = $1 AND lease = $2 AND lease_until > now() FOR UPDATE"#,
        claim.user.as_str(),
        claim.lease,
        MAX_DEBOUNCE.as_secs_f64()
    );
    let row = row.fetch_optional(&mut *tx).await?;
    Ok(row.map(|row| {
        let (event, plays, at) = (row.cause_event, row.cause_plays, row.stored_at);
        let cause = Cause::of(event, plays, at, row.seq, row.cause_trace);
        Ours {
            generation: row.generation,
            read_again: row.force_fetch && row.may_read_again,
            flapping: row.may_debounce && cause != claim.cause,
            cause,
        }
    }))
}

/// Requeues a user whose count oscillated while the profile was read, due after the debounce.
pub async fn debounce(tx: &mut Tx<'_>, claim: &Claim) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET lease = NULL, lease_until = NULL, force_fetch = force_fetch OR $3,
             debounce_until = now() + $4::double precision * interval '1 second',
             due_at = now() + $4::double precision * interval '1 second'
         WHERE user_id = $1 AND lease = $2",
        claim.user.as_str(),
        claim.lease,
        claim.force_fetch,
        DEBOUNCE.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Ends an attempt: the user is up to date as of `generation`, until `again_at` if that is given. A user enqueued
/// meanwhile stays due.
pub async fn finish(
    tx: &mut Tx<'_>,
    claim: &Claim,
    generation: i64,
    again_at: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    let user = claim.user.as_str();
    let up_to_date = sqlx::query!(
        "WITH ours AS (
             SELECT user_id FROM work_queue WHERE user_id = $1 AND lease = $2 AND generation = $3 AND NOT force_fetch
         ), timed AS (
             -- kept as a timer: the decision changes at that time
             UPDATE work_queue SET lease = NULL, lease_until = NULL, attempts = 0, last_error = NULL, priority = 0,
                 due_at = $4, enqueued_at = $4, debounce_until = NULL, reread_since = NULL, last_held_by = NULL,
                 cause_event = NULL, cause_plays = NULL, cause_stored_at = NULL, cause_seq = NULL, cause_trace = NULL,
                 failure = NULL, pass_revokes = false, pass_grants = false, pass_gone = false
             WHERE $4::timestamptz IS NOT NULL AND user_id IN (SELECT user_id FROM ours) RETURNING 1
         ), gone AS (
             DELETE FROM work_queue WHERE $4::timestamptz IS NULL AND user_id IN (SELECT user_id FROM ours) RETURNING 1
         )
         SELECT FROM timed UNION ALL SELECT FROM gone",
        user,
        claim.lease,
        generation,
        again_at
    );
    if up_to_date.fetch_all(&mut *tx).await?.is_empty() {
        sqlx::query!(
            "UPDATE work_queue SET lease = NULL, lease_until = NULL, attempts = 0, last_error = NULL,
                 reread_since = NULL, last_held_by = NULL, failure = NULL, pass_revokes = false, pass_grants = false, pass_gone = false,
                 due_at = greatest(now() + $3::double precision * interval '1 second', debounce_until)
             WHERE user_id = $1 AND lease = $2",
            user,
            claim.lease,
            MIN_INTERVAL.as_secs_f64()
        )
        .execute(&mut *tx)
        .await?;
        Channel::WorkQueue.send(tx).await?;
    }
    Ok(())
}

/// Requeues a user, due after `wait`. The next attempt reads the profile if this one meant to.
pub async fn again(
    tx: &mut Tx<'_>,
    claim: &Claim,
    wait: Duration,
    force_fetch: bool,
    failed: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET lease = NULL, lease_until = NULL, force_fetch = force_fetch OR $3,
             due_at = now() + $4::double precision * interval '1 second',
             attempts = attempts + CASE WHEN $5::text IS NULL THEN 0 ELSE 1 END,
             last_error = coalesce($5, last_error)
         WHERE user_id = $1 AND lease = $2",
        claim.user.as_str(),
        claim.lease,
        force_fetch,
        wait.as_secs_f64(),
        failed
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Requeues a user whose profile may have changed after the read. The delay prevents a tight loop of reads while
/// another client writes without end.
pub async fn reread(tx: &mut Tx<'_>, claim: &Claim) -> Result<(), StoreError> {
    // Like the debounce: the next record must not bring the read forward.
    sqlx::query!(
        "UPDATE work_queue SET lease = NULL, lease_until = NULL, force_fetch = true, reread_since = coalesce(reread_since, now()),
             debounce_until = now() + $3::double precision * interval '1 second',
             due_at = now() + $3::double precision * interval '1 second'
         WHERE user_id = $1 AND lease = $2",
        claim.user.as_str(),
        claim.lease,
        MIN_INTERVAL.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Failure of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'a> {
    /// The reason as text.
    pub why: &'a str,
    /// Code that is equal for failures with the same cause.
    pub code: Option<&'a str>,
}

/// Requeues a user whose attempt failed, due after `wait`. The next attempt reads the profile. A failure that is not
/// counted was not caused by the user's state.
pub async fn failed(
    tx: &mut Tx<'_>,
    claim: &Claim,
    wait: Duration,
    failed: Failed<'_>,
    counted: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET lease = NULL, lease_until = NULL, force_fetch = true,
             due_at = now() + $3::double precision * interval '1 second',
             attempts = attempts + $6::integer, last_error = CASE WHEN $6 = 0 THEN last_error ELSE $4 END,
             failure = $5, failed_at = now()
         WHERE user_id = $1 AND lease = $2",
        claim.user.as_str(),
        claim.lease,
        wait.as_secs_f64(),
        failed.why,
        failed.code,
        i32::from(counted)
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Counts a failure for a user without a claim, because stored data of the user is invalid. Parks the user after `most`
/// failures.
pub async fn failed_to_start(
    tx: &mut Tx<'_>,
    user: &str,
    wait: Duration,
    why: &str,
    most: u32,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET attempts = attempts + 1, last_error = $3, failure = NULL, failed_at = now(), force_fetch = true,
             due_at = now() + $2::double precision * interval '1 second',
             parked_at = CASE WHEN attempts + 1 >= $4 THEN now() END,
             pass_revokes = pass_revokes AND attempts + 1 < $4, pass_grants = pass_grants AND attempts + 1 < $4
         WHERE user_id = $1 AND (lease IS NULL OR lease_until < now()) AND parked_at IS NULL",
        user,
        wait.as_secs_f64(),
        why,
        i32::try_from(most).unwrap_or(i32::MAX)
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Parks a user until the profile changes or a day has passed, with a reason for the operator. `code` is equal for
/// failures with the same cause.
pub async fn park(tx: &mut Tx<'_>, claim: &Claim, why: &str, code: Option<&str>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE work_queue SET lease = NULL, lease_until = NULL, force_fetch = true, parked_at = now(),
             -- the operator released this change; the next one may be another
             pass_revokes = false, pass_grants = false,
             attempts = attempts + 1, last_error = $3, failure = $4, failed_at = now()
         WHERE user_id = $1 AND lease = $2",
        claim.user.as_str(),
        claim.lease,
        why,
        code
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Ends an attempt as of `generation`, with changes that wait for the operator. A user enqueued meanwhile stays due. At
/// `again_at` the user is evaluated again anyway, because a rule changes its decision then.
pub async fn hold(
    tx: &mut Tx<'_>,
    claim: &Claim,
    generation: i64,
    why: HeldBy,
    again_at: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    let held = sqlx::query_scalar!(
        r#"UPDATE work_queue SET lease = NULL, lease_until = NULL, attempts = 0, last_error = NULL, due_at = now(),
               reread_since = NULL, last_held_by = $4, failure = NULL,
               -- the operator may have released the user during the attempt
               pass_revokes = pass_revokes AND NOT $6, pass_grants = pass_grants AND NOT $7, pass_gone = pass_gone AND NOT $8,
               held_by = CASE WHEN generation = $3 AND NOT force_fetch THEN $4 END,
               held_until = CASE WHEN generation = $3 AND NOT force_fetch THEN $5::timestamptz END
           WHERE user_id = $1 AND lease = $2 RETURNING held_by IS NOT NULL AS "held!""#,
        claim.user.as_str(),
        claim.lease,
        generation,
        why.as_str(),
        again_at,
        claim.pass_revokes,
        claim.pass_grants,
        claim.pass_gone
    );
    if held.fetch_optional(&mut *tx).await? == Some(false) {
        Channel::WorkQueue.send(tx).await?;
    }
    Ok(())
}
