//! The results of several writes, one statement for all of them.
//!
//! Owns the end of attempts whose writes changed roles and met nothing else. Must never end an attempt after which the user
//! is due again, nor wait for a row of the queue that another transaction has locked.

use std::collections::HashSet;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Channel, Claim, StoreError, Tx, users};

/// The state of one role that a write left.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Left {
    /// The role.
    pub role: String,
    /// The decision of the rules.
    pub wanted: bool,
    /// Whether the profile has it.
    pub has_role: bool,
    /// Rolekeeper may revoke it.
    pub adopted: bool,
    /// Time since which the user has been below the threshold while the role is kept.
    pub below_since: Option<OffsetDateTime>,
    /// Whether it has a row.
    pub known: bool,
}

/// A write that Auth0 has done.
#[derive(Debug)]
pub struct Done<'a> {
    /// The attempt.
    pub claim: &'a Claim,
    /// Generation of the user at the decision.
    pub generation: i64,
    /// Id of the write.
    pub write: Uuid,
    /// Time of the write, by Auth0's clock.
    pub at: Option<OffsetDateTime>,
    /// Its rows of the audit.
    pub changes: &'a [Uuid],
    /// The profile after the write.
    pub profile: &'a Map<String, Value>,
    /// Its roles.
    pub left: Vec<Left>,
    /// Time at which a decision changes without an event.
    pub again_at: Option<OffsetDateTime>,
}

/// Notes the responses to writes whose attempt still has its lease and whose user no enqueueing has named since the
/// decision. Returns these writes, with the users' rows in the queue locked; leaves out a user with a row that another transaction has
/// locked, and one who was erased.
pub async fn answered(tx: &mut Tx<'_>, done: &[Done<'_>]) -> Result<HashSet<Uuid>, StoreError> {
    let users: Vec<&str> = done.iter().map(|one| one.claim.user.as_str()).collect();
    let leases: Vec<Uuid> = done.iter().map(|one| one.claim.lease).collect();
    let generations: Vec<i64> = done.iter().map(|one| one.generation).collect();
    let writes: Vec<Uuid> = done.iter().map(|one| one.write).collect();
    let ats: Vec<Option<OffsetDateTime>> = done.iter().map(|one| one.at).collect();
    let noted = sqlx::query!(
        "WITH ours AS MATERIALIZED (
             SELECT locked.user_id, held.write_id, held.at
             FROM UNNEST($1::text[], $2::uuid[], $3::bigint[], $4::uuid[], $5::timestamptz[]) AS held(user_id, lease, generation, write_id, at)
             CROSS JOIN LATERAL (
                 SELECT n.user_id FROM work_queue n
                 WHERE n.user_id = held.user_id AND n.lease = held.lease AND n.lease_until > now()
                   AND n.generation = held.generation AND NOT n.force_fetch FOR UPDATE SKIP LOCKED
             ) AS locked
         ), open AS MATERIALIZED (
             SELECT ours.write_id, ours.at FROM ours JOIN profile_writes p ON p.write_id = ours.write_id
             WHERE NOT p.answered FOR UPDATE OF p SKIP LOCKED
         )
         UPDATE profile_writes p SET completed_at = clock_timestamp(), wrote_updated_at = open.at, answered = true, recorded = true,
             closed = NULL
         FROM open WHERE p.write_id = open.write_id
         RETURNING p.write_id,
             -- rows of users may be locked by a fold: one that takes long must not hold up all results
             set_config('lock_timeout', '1s', true) AS lock_timeout",
        &users as &[&str],
        &leases,
        &generations,
        &writes,
        &ats as &[Option<OffsetDateTime>]
    );
    let noted = noted.fetch_all(&mut *tx).await?.into_iter();
    Ok(noted.map(|row| row.write_id).collect())
}

/// Completes the audit, stores roles and profiles, and ends the attempts. The caller has locked the rows in the queue.
pub async fn store(tx: &mut Tx<'_>, done: &[&Done<'_>]) -> Result<(), StoreError> {
    let fetched: Vec<_> = done
        .iter()
        .map(|one| (one.claim.user.as_str(), one.profile, one.claim.asked_at))
        .collect();
    users::all_fetched(tx, &fetched).await?;
    complete(tx, done).await?;
    leave(tx, done).await?;
    finish(tx, done).await
}

/// Completes the rows of the audit, as [`super::role_changes::written`].
async fn complete(tx: &mut Tx<'_>, done: &[&Done<'_>]) -> Result<(), StoreError> {
    let each = || {
        done.iter()
            .flat_map(|one| one.changes.iter().map(move |change| (*change, one.write)))
    };
    let (ids, writes): (Vec<Uuid>, Vec<Uuid>) = each().unzip();
    sqlx::query!(
        "WITH completed AS (
             UPDATE role_changes r SET completed_at = clock_timestamp(), outcome = 'written', write_id = told.write_id
             FROM UNNEST($1::uuid[], $2::uuid[]) AS told(change_id, write_id)
             WHERE r.change_id = told.change_id AND r.outcome IS NULL
         )
         SELECT pg_notify($3, '')",
        &ids,
        &writes,
        Channel::RoleChanges.name()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores the roles, as [`super::assignments::seen`].
async fn leave(tx: &mut Tx<'_>, done: &[&Done<'_>]) -> Result<(), StoreError> {
    let each = || {
        done.iter()
            .flat_map(|one| one.left.iter().map(move |left| (one.claim.user.as_str(), left)))
    };
    let users: Vec<&str> = each().map(|(user, _)| user).collect();
    let roles: Vec<&str> = each().map(|(_, left)| left.role.as_str()).collect();
    let wanted: Vec<bool> = each().map(|(_, left)| left.wanted).collect();
    let has_role: Vec<bool> = each().map(|(_, left)| left.has_role).collect();
    let adopted: Vec<bool> = each().map(|(_, left)| left.adopted).collect();
    let below: Vec<Option<OffsetDateTime>> = each().map(|(_, left)| left.below_since).collect();
    sqlx::query!(
        "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted, below_since, suppressed, verified_at)
         SELECT s.*, false, now()
         FROM UNNEST($1::text[], $2::text[], $3::boolean[], $4::boolean[], $5::boolean[], $6::timestamptz[])
             AS s(user_id, role, wanted, has_role, adopted, below_since)
         ORDER BY s.user_id, s.role
         ON CONFLICT (user_id, role) DO UPDATE SET
             wanted = excluded.wanted, has_role = excluded.has_role, adopted = excluded.adopted,
             below_since = excluded.below_since, suppressed = excluded.suppressed, verified_at = excluded.verified_at,
             since = CASE WHEN a.has_role = excluded.has_role THEN a.since ELSE now() END",
        &users as &[&str],
        &roles as &[&str],
        &wanted,
        &has_role,
        &adopted,
        &below as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Ends the attempts, as [`super::leases::finish`].
async fn finish(tx: &mut Tx<'_>, done: &[&Done<'_>]) -> Result<(), StoreError> {
    let users: Vec<&str> = done.iter().map(|one| one.claim.user.as_str()).collect();
    let again: Vec<Option<OffsetDateTime>> = done.iter().map(|one| one.again_at).collect();
    sqlx::query!(
        "WITH ours AS (
             SELECT * FROM UNNEST($1::text[], $2::timestamptz[]) AS done(user_id, again_at)
         ), timed AS (
             -- kept as a timer: the decision changes at that time
             UPDATE work_queue n SET lease = NULL, lease_until = NULL, attempts = 0, last_error = NULL, priority = 0,
                 due_at = ours.again_at, enqueued_at = ours.again_at, debounce_until = NULL, reread_since = NULL, last_held_by = NULL,
                 cause_event = NULL, cause_plays = NULL, cause_stored_at = NULL, cause_seq = NULL, cause_trace = NULL,
                 failure = NULL, pass_revokes = false, pass_grants = false, pass_gone = false
             FROM ours WHERE n.user_id = ours.user_id AND ours.again_at IS NOT NULL
         )
         DELETE FROM work_queue n USING ours WHERE n.user_id = ours.user_id AND ours.again_at IS NULL",
        &users as &[&str],
        &again as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
