//! The decisions of several attempts, one statement for all of them.
//!
//! Owns the lock of their rows in the queue and the rows of audit and writes that follow. Must never wait for a row that
//! another transaction has locked: the profiles of the other users would become too old meanwhile.

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::leases::Ours;
use super::profile_writes::ReadBefore;
use super::work_queue::{Cause, MAX_DEBOUNCE};
use super::{Claim, StoreError, Tx};
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::Rule;

/// Locks the rows of those attempts that still have their lease, as [`super::leases::still_ours`]. Returns a result for each claim, in
/// order: none for a lost lease, and for a row that another transaction has locked.
pub async fn lock(tx: &mut Tx<'_>, claims: &[&Claim]) -> Result<Vec<Option<Ours>>, StoreError> {
    let users: Vec<&str> = claims.iter().map(|claim| claim.user.as_str()).collect();
    let leases: Vec<Uuid> = claims.iter().map(|claim| claim.lease).collect();
    let rows = sqlx::query!(
        r#"SELECT held.place AS "place!", generation, force_fetch, cause_event, cause_plays, cause_stored_at, cause_seq, cause_trace,
               now() < enqueued_at + $3::double precision * interval '1 second' AS "may_debounce!",
               coalesce(now() < reread_since + $3::double precision * interval '1 second', true) AS "may_read_again!"
           FROM UNNEST($1::text[], $2::uuid[]) WITH ORDINALITY AS held(user_id, lease, place)
           CROSS JOIN LATERAL (
               SELECT * FROM work_queue n
               WHERE n.user_id = held.user_id AND n.lease = held.lease AND n.lease_until > now() FOR UPDATE SKIP LOCKED
           ) AS ours"#,
        &users as &[&str],
        &leases,
        MAX_DEBOUNCE.as_secs_f64()
    );
    let mut rows = rows.fetch_all(&mut *tx).await?;
    rows.sort_unstable_by_key(|row| row.place);
    let mut rows = rows.into_iter().peekable();
    let ours = (1..).zip(claims).map(|(place, claim)| {
        let row = rows.next_if(|row| row.place == place)?;
        let cause = Cause::of(
            row.cause_event,
            row.cause_plays,
            row.cause_stored_at,
            row.cause_seq,
            row.cause_trace,
        );
        Some(Ours {
            generation: row.generation,
            read_again: row.force_fetch && row.may_read_again,
            flapping: row.may_debounce && claim.cause != cause,
            cause,
        })
    });
    Ok(ours.collect())
}

/// One decided write of roles, and the changes that it makes.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The attempt.
    pub claim: &'a Claim,
    /// The changes, each with its id, its rule and the plays that the rule counted.
    pub changes: Vec<(Uuid, &'a Rule, RoleChange, i64)>,
    /// Id of the write.
    pub write: Uuid,
    /// The profile before the write.
    pub read: ReadBefore<'a>,
    /// The whole array of roles to write.
    pub wrote: &'a [String],
}

/// Stores decisions whose writes are about to be sent, as [`super::role_changes::decide`] and
/// [`super::profile_writes::attempt`].
pub async fn store(tx: &mut Tx<'_>, decisions: &[Decision<'_>]) -> Result<(), StoreError> {
    store_changes(tx, decisions).await?;
    let ids: Vec<Uuid> = decisions.iter().map(|one| one.write).collect();
    let users: Vec<&str> = decisions.iter().map(|one| one.claim.user.as_str()).collect();
    let read: Vec<Value> = decisions.iter().map(|one| Value::from(one.read.roles)).collect();
    let updated: Vec<Option<OffsetDateTime>> = decisions.iter().map(|one| one.read.updated_at).collect();
    let dates: Vec<Option<OffsetDateTime>> = decisions.iter().map(|one| one.read.date).collect();
    let created: Vec<Option<OffsetDateTime>> = decisions.iter().map(|one| one.read.created_at).collect();
    let wrote: Vec<Value> = decisions.iter().map(|one| Value::from(one.wrote)).collect();
    let managed = |one: &Decision<'_>| -> Value {
        let roles = one.changes.iter().map(|(_, rule, _, _)| rule.role.as_str());
        roles.collect::<Vec<_>>().into()
    };
    let managed: Vec<Value> = decisions.iter().map(managed).collect();
    sqlx::query!(
        "INSERT INTO profile_writes (write_id, user_id, read_roles, read_updated_at, wrote_roles, recorded, read_date, managed,
             read_created_at)
         SELECT w.write_id, w.user_id, w.read_roles, w.read_updated_at, w.wrote_roles, false, w.read_date,
             ARRAY(SELECT jsonb_array_elements_text(w.managed)), w.read_created_at
         FROM UNNEST($1::uuid[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::jsonb[], $6::timestamptz[], $7::jsonb[], $8::timestamptz[])
             AS w(write_id, user_id, read_roles, read_updated_at, wrote_roles, read_date, managed, read_created_at)",
        &ids,
        &users as &[&str],
        &read,
        &updated as &[Option<OffsetDateTime>],
        &wrote,
        &dates as &[Option<OffsetDateTime>],
        &managed,
        &created as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores the changes in the audit.
async fn store_changes(tx: &mut Tx<'_>, decisions: &[Decision<'_>]) -> Result<(), StoreError> {
    let all = || {
        let of = |one| one;
        decisions
            .iter()
            .flat_map(move |one: &Decision<'_>| one.changes.iter().map(move |change| (of(one), change)))
    };
    let ids: Vec<Uuid> = all().map(|(_, change)| change.0).collect();
    let users: Vec<&str> = all().map(|(of, _)| of.claim.user.as_str()).collect();
    let roles: Vec<&str> = all().map(|(_, change)| change.1.role.as_str()).collect();
    let changes: Vec<&str> = all().map(|(_, change)| change.2.as_str()).collect();
    let plays: Vec<i64> = all().map(|(_, change)| change.3).collect();
    let rules: Vec<Value> = all()
        .map(|(_, change)| serde_json::to_value(change.1).unwrap_or(Value::Null))
        .collect();
    let cause = |of: &Decision<'_>| of.claim.cause.clone();
    let events: Vec<Option<String>> = all().map(|(of, _)| cause(of).map(|cause| cause.event)).collect();
    let stored: Vec<Option<OffsetDateTime>> = all()
        .map(|(of, _)| cause(of).map(|cause| cause.stored_at))
        .collect();
    let seqs: Vec<Option<i64>> = all().map(|(of, _)| cause(of).map(|cause| cause.seq)).collect();
    let queued: Vec<i64> = all().map(|(of, _)| of.claim.queued_ms).collect();
    let released: Vec<bool> = all().map(|(of, change)| of.claim.passes(change.2)).collect();
    sqlx::query!(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, event_id, event_stored_at, queued_ms, released, event_seq,
             attempted_at)
         SELECT c.*, clock_timestamp()
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::jsonb[], $7::text[], $8::timestamptz[],
             $9::bigint[], $10::boolean[], $11::bigint[]) AS c",
        &ids,
        &users as &[&str],
        &roles as &[&str],
        &changes as &[&str],
        &plays,
        &rules,
        &events as &[Option<String>],
        &stored as &[Option<OffsetDateTime>],
        &queued,
        &released,
        &seqs as &[Option<i64>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
