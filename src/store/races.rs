//! Tables `foreign_writes` and `races`: writes of other clients to roles, and the results of races between them and our
//! writes.
//!
//! Owns the retention of both. Must never remove a race (only erasing its user does), nor settle one twice.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Channel, Store, StoreError, Tx, string_list, unknown_writes};
use rolekeeper_domain::history::{KnownRaces, Race, Theirs};
use rolekeeper_domain::merge::State;
use rolekeeper_domain::race::RaceOutcome;

/// Maximum number of other clients' newest writes considered per user.
const MOST: i64 = 200;
/// Maximum size of all their lists of roles together, in characters of JSON.
const MOST_CHARACTERS: i64 = 65_536;
/// Maximum size of one list, in characters. A longer one, which an older release may have stored, counts as unknown.
const LONGEST_LIST: i32 = 20_000;

/// A write to roles by another client, as a record describes it.
#[derive(Clone, Debug)]
pub struct ForeignWrite {
    /// The user whose profile was written.
    pub user: String,
    /// `log_id`, or another unique name of the record.
    pub record: String,
    /// Time of the write, by Auth0's clock.
    pub at: OffsetDateTime,
    /// The whole array of roles after the write.
    pub roles: Vec<String>,
    /// The write deleted all of `app_metadata`.
    pub wiped: bool,
    /// Id by which Auth0 can confirm the record; `None` if it cannot, or if the write is not another client's.
    pub log_id: Option<String>,
    /// The client that wrote, by the record.
    pub client: Option<String>,
    /// The date of the record itself.
    pub dated: Option<OffsetDateTime>,
    /// The record names our own client id, and matches no completed write of ours.
    pub own: bool,
    /// Our write without a response that the record may describe.
    pub write: Option<Uuid>,
}

/// Stores writes of other clients. A record delivered twice is stored once.
pub async fn note(tx: &mut Tx<'_>, writes: &[ForeignWrite]) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = writes.iter().map(|write| write.user.as_str()).collect();
    let records: Vec<&str> = writes.iter().map(|write| write.record.as_str()).collect();
    let ats: Vec<OffsetDateTime> = writes.iter().map(|write| write.at).collect();
    let roles: Vec<Value> = writes
        .iter()
        .map(|write| Value::from(write.roles.clone()))
        .collect();
    let wiped: Vec<bool> = writes.iter().map(|write| write.wiped).collect();
    let log_ids: Vec<Option<&str>> = writes.iter().map(|write| write.log_id.as_deref()).collect();
    let clients: Vec<Option<&str>> = writes.iter().map(|write| write.client.as_deref()).collect();
    let dated: Vec<Option<OffsetDateTime>> = writes.iter().map(|write| write.dated).collect();
    let own: Vec<bool> = writes.iter().map(|write| write.own).collect();
    let of: Vec<Option<Uuid>> = writes.iter().map(|write| write.write).collect();
    sqlx::query!(
        "INSERT INTO foreign_writes (user_id, record_id, written_at, roles, wiped, log_id, client_id, dated_at, own, write_id)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::timestamptz[], $4::jsonb[], $5::boolean[], $6::text[], $7::text[],
             $8::timestamptz[], $9::boolean[], $10::uuid[])
         ON CONFLICT DO NOTHING",
        &users as &[&str],
        &records as &[&str],
        &ats,
        &roles,
        &wiped,
        &log_ids as &[Option<&str>],
        &clients as &[Option<&str>],
        &dated as &[Option<OffsetDateTime>],
        &own,
        &of as &[Option<Uuid>]
    )
    .execute(&mut *tx)
    .await?;
    if own.contains(&true) {
        unknown_writes::ask(tx, &users, &records).await?;
        unknown_writes::ask_of_ours(tx, &users, &records).await?;
    }
    Ok(())
}

/// The newest writes of other clients to a user's roles, newest first. Records that Auth0 does not know, or knows with
/// other content, are left out.
pub async fn theirs(tx: &mut Tx<'_>, user: &str) -> Result<Vec<Theirs>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT record_id, written_at, roles, client_id, verdict IS NOT DISTINCT FROM 'confirmed' AND NOT own AS "confirmed!",
               CASE WHEN (verdict IS NULL OR verdict = 'confirmed') AND NOT own THEN log_id END AS log_id
           FROM (
               SELECT *, sum(length(roles::text)) OVER (ORDER BY written_at DESC, record_id) AS characters
               FROM foreign_writes
               WHERE user_id = $1 AND (verdict IS NULL OR verdict IN ('confirmed', 'no_scope', 'unanswered'))
                 AND write_id IS NULL AND length(roles::text) <= $4
           ) AS newest
           WHERE characters <= $3 ORDER BY written_at DESC LIMIT $2"#,
        user,
        MOST,
        MOST_CHARACTERS,
        LONGEST_LIST
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    rows.into_iter()
        .map(|row| {
            let roles = string_list("foreign_writes", "roles", &row.roles)?;
            Ok(Theirs {
                record: row.record_id,
                state: State {
                    at: row.written_at,
                    roles,
                },
                log_id: row.log_id,
                client: row.client_id,
                confirmed: row.confirmed,
            })
        })
        .collect()
}

/// The known races of a user; `max_wait` is the longest wait for a missing record.
pub async fn known(tx: &mut Tx<'_>, user: &str, max_wait: Duration) -> Result<KnownRaces, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT write_id, record_id, outcome, found_updated_at, released,
                  found_at < now() - $2::double precision * interval '1 second' AS "old!"
           FROM races WHERE user_id = $1 ORDER BY found_at DESC LIMIT 1000"#,
        user,
        max_wait.as_secs_f64()
    );
    let mut known = KnownRaces::default();
    for row in rows.fetch_all(&mut *tx).await? {
        match row.outcome.as_deref() {
            None => {
                known.overdue |= row.old;
                known.released |= row.released;
            }
            Some(outcome) => {
                let given_up = [RaceOutcome::Unresolved, RaceOutcome::Dropped];
                if given_up.iter().any(|given_up| given_up.as_str() == outcome) {
                    known.given_up_at = known.given_up_at.max(Some(row.found_updated_at));
                }
                known.settled.insert((row.write_id, row.record_id));
            }
        }
    }
    Ok(known)
}

/// Stores races of a user: adds new ones with the current time and updates open ones.
pub async fn found(tx: &mut Tx<'_>, user: &str, races: &[Race<'_>]) -> Result<(), StoreError> {
    for race in races {
        sqlx::query!(
            "WITH open AS (
                 UPDATE races SET found = $8, found_updated_at = $9, merged = coalesce($10, merged), held = $11
                 WHERE user_id = $2 AND write_id = $3 AND record_id = $4 AND outcome IS NULL RETURNING 1
             )
             INSERT INTO races (race_id, user_id, write_id, record_id, base, ours, theirs, found, found_updated_at, merged, held)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE NOT EXISTS (SELECT FROM open)",
            Uuid::now_v7(),
            user,
            race.write,
            race.record,
            Value::from(race.ours.read.roles.clone()),
            Value::from(race.ours.wrote.roles.clone()),
            Value::from(race.theirs.roles.clone()),
            Value::from(race.found.roles.clone()),
            race.found.at,
            race.merged.map(Value::from),
            race.held
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Settles these open races of a user as unconfirmed: Auth0 did not confirm their records.
pub async fn unconfirmed(tx: &mut Tx<'_>, user: &str, records: &[&str]) -> Result<u64, StoreError> {
    let settled = sqlx::query!(
        "UPDATE races SET settled_at = now(), outcome = 'unconfirmed'
         WHERE user_id = $1 AND record_id = ANY($2::text[]) AND outcome IS NULL",
        user,
        records as &[&str]
    );
    Ok(settled.execute(&mut *tx).await?.rows_affected())
}

/// Settles all open races of a user: those with a sent restore as merged, the others as `otherwise`. Returns the
/// outcome of each.
pub async fn settle(
    tx: &mut Tx<'_>,
    user: &str,
    otherwise: RaceOutcome,
) -> Result<Vec<RaceOutcome>, StoreError> {
    let settled = sqlx::query_scalar!(
        r#"UPDATE races SET settled_at = now(),
               outcome = CASE WHEN merged IS NOT NULL AND NOT held AND $2 <> 'unresolved' THEN 'merged' ELSE $2 END
           WHERE user_id = $1 AND outcome IS NULL RETURNING outcome AS "outcome!""#,
        user,
        otherwise.as_str()
    );
    let settled = settled.fetch_all(&mut *tx).await?;
    let outcome = |text: &String| {
        RaceOutcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    };
    Ok(settled.iter().filter_map(outcome).collect())
}

impl Store {
    /// Enqueues users with a race that has been open for longer than `max_wait`, unless the confirmation of its record
    /// is pending.
    pub async fn sweep_races(&self, max_wait: Duration) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!(
            "INSERT INTO work_queue (user_id, priority, force_fetch)
             SELECT DISTINCT user_id, 1::smallint, true FROM races
             WHERE outcome IS NULL AND NOT held AND found_at < now() - $1::double precision * interval '1 second'
               -- the confirmation enqueues the user
               AND NOT EXISTS (SELECT FROM foreign_writes f WHERE f.user_id = races.user_id AND f.ask_at IS NOT NULL)
             ORDER BY 1
             ON CONFLICT (user_id) DO NOTHING",
            max_wait.as_secs_f64()
        )
        .execute(&mut tx)
        .await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("users_queued");
        Ok(())
    }
}
