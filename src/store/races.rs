//! Tables `foreign_writes` and `races`: what other clients wrote to roles, and what became of it where we wrote
//! at the same time.
//!
//! Owns what is kept of both, and for how long. Must never remove a race (erasing its user does), and never settle one twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError, Tx, Wake, string_list, unknown_writes};
use rolekeeper_domain::merge::{OurWrite, State};

/// Newest writes of others to one user that are reckoned with.
const MOST: i64 = 200;
/// Characters of all their lists of roles together, as JSON.
const MOST_CHARACTERS: i64 = 65_536;
/// The same of one list; a longer one, which a version before may have kept, counts as not told of.
const LONGEST_LIST: i32 = 20_000;

/// A write to roles by another client, as a record tells of it.
#[derive(Clone, Debug)]
pub struct ForeignWrite {
    /// Whose profile.
    pub user: String,
    /// `log_id`, or what else tells the record from others.
    pub record: String,
    /// When, by Auth0's clock.
    pub at: OffsetDateTime,
    /// The whole roles array as they wrote it.
    pub roles: Vec<String>,
    /// They deleted all of `app_metadata`.
    pub wiped: bool,
    /// By which Auth0 can confirm the record; none where it cannot, or where the write is not another client's.
    pub log_id: Option<String>,
    /// The client that wrote, as the record says.
    pub client: Option<String>,
    /// The record's own date.
    pub dated: Option<OffsetDateTime>,
    /// The record names our own client id, and no completed write of ours is known that it may tell of.
    pub own: bool,
    /// The write of ours without an answer that it may tell of.
    pub write: Option<Uuid>,
}

/// A write of another client as far as it is known.
#[derive(Clone, Debug)]
pub struct Theirs {
    /// `log_id`, or what else tells the record from others.
    pub record: String,
    /// What they wrote.
    pub state: State,
    /// By which Auth0 can confirm the record, and the client it names.
    pub log_id: Option<String>,
    /// The client that wrote, as the record says.
    pub client: Option<String>,
    /// Auth0 returned the same record.
    pub confirmed: bool,
}

/// How a race ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaceOutcome {
    /// What the other client meant was brought back.
    Merged,
    /// It stands.
    NothingLost,
    /// The profile had become what no record tells of: left to a person.
    Unresolved,
    /// Auth0 did not confirm the record: nothing was written.
    Unconfirmed,
    /// The operator dropped it from the brake.
    Dropped,
}

impl RaceOutcome {
    /// All of them: the label values of the metric.
    pub const ALL: [Self; 5] = [
        Self::Merged,
        Self::NothingLost,
        Self::Unresolved,
        Self::Unconfirmed,
        Self::Dropped,
    ];

    /// As it stands in the table and in the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::NothingLost => "nothing_lost",
            Self::Unresolved => "unresolved",
            Self::Unconfirmed => "unconfirmed",
            Self::Dropped => "dropped",
        }
    }
}

/// A race to be noted.
#[derive(Clone, Copy, Debug)]
pub struct Race<'a> {
    /// Our write's id.
    pub write: Uuid,
    /// Our write.
    pub ours: &'a OurWrite,
    /// Their record.
    pub record: &'a str,
    /// What they wrote.
    pub theirs: &'a State,
    /// The profile when it was looked into.
    pub found: &'a State,
    /// The roles that bring their intention back.
    pub merged: Option<&'a [String]>,
    /// The brake holds that; else it is about to be sent.
    pub held: bool,
}

/// What is known of the races of one user.
#[derive(Debug, Default)]
pub struct KnownRaces {
    /// Pairs of our write and their record that are settled.
    pub settled: BTreeSet<(Uuid, String)>,
    /// The profile as it was when a race was last left to a person.
    pub given_up_at: Option<OffsetDateTime>,
    /// An open race was found longer ago than a record may take.
    pub overdue: bool,
    /// The operator has released an open race from the brake.
    pub released: bool,
}

/// Keeps writes of others. A record that is delivered twice is kept once.
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

/// The newest writes of others to a user's roles, newest first. A record that Auth0 does not know, or knows otherwise, is
/// none.
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

/// What is known of a user's races; `patience` is how long a missing record is waited for.
pub async fn known(tx: &mut Tx<'_>, user: &str, patience: Duration) -> Result<KnownRaces, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT write_id, record_id, outcome, found_updated_at, released,
                  found_at < now() - $2::double precision * interval '1 second' AS "old!"
           FROM races WHERE user_id = $1 ORDER BY found_at DESC LIMIT 1000"#,
        user,
        patience.as_secs_f64()
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

/// Notes races of a user: new ones are found now, open ones found earlier are brought up to date.
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

/// Settles these open races of a user: Auth0 did not confirm their records.
pub async fn unconfirmed(tx: &mut Tx<'_>, user: &str, records: &[&str]) -> Result<u64, StoreError> {
    let settled = sqlx::query!(
        "UPDATE races SET settled_at = now(), outcome = 'unconfirmed'
         WHERE user_id = $1 AND record_id = ANY($2::text[]) AND outcome IS NULL",
        user,
        records as &[&str]
    );
    Ok(settled.execute(&mut *tx).await?.rows_affected())
}

/// Settles all open races of a user: those for which something was sent as merged, the others as `otherwise`.
/// Answers how each ended.
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
    /// Nominates users with a race that has been open for longer than `patience`, unless Auth0 is being asked for its
    /// record.
    pub async fn sweep_races(&self, patience: Duration) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!(
            "INSERT INTO nominations (user_id, urgency, observe)
             SELECT DISTINCT user_id, 1::smallint, true FROM races
             WHERE outcome IS NULL AND NOT held AND found_at < now() - $1::double precision * interval '1 second'
               -- the answer nominates the user
               AND NOT EXISTS (SELECT FROM foreign_writes f WHERE f.user_id = races.user_id AND f.ask_at IS NOT NULL)
             ORDER BY 1
             ON CONFLICT (user_id) DO NOTHING",
            patience.as_secs_f64()
        )
        .execute(&mut tx)
        .await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
