//! Table `removals` and table `brakes`, row `removed`: managed roles that another client removed, and the brake on pins for
//! a mass of them.
//!
//! Owns which removals wait, are held or are released. Must never make a pin: an attempt does. An attempt that needs other
//! brakes too locks this one after that of restores and before all others.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::brake_releases::Way;
use super::brakes::COUNTED_AT_MOST;
use super::slices::{SLICE, Slice};
use super::{BrakeState, Store, StoreError, Tx, brake_row, work_queue};
use rolekeeper_domain::removal::{Records, Removal, RemovalState};
use rolekeeper_domain::view::Capped;

/// Allowed difference between Auth0's clock and Postgres': a record that is older than the user's role by more does not
/// report its removal.
const CLOCKS_APART: Duration = Duration::from_secs(2);
/// The kind in table `brakes`.
const KIND: &str = "removed";
/// Records of one user that may be confirmed for one role.
const MOST: i64 = 20;

/// A removal as a record reports it.
#[derive(Clone, Debug, Default)]
pub struct AnnouncedChange {
    /// The client that wrote, by the record.
    pub client: Option<String>,
    /// Id of the confirmed record.
    pub log_id: Option<String>,
}

/// The records of other clients' writes without the role, since `since`.
#[derive(Clone, Debug)]
pub struct Found {
    /// The id that they are about.
    pub of: String,
    /// Whether Auth0 confirmed one.
    pub records: Records,
    /// The newest confirmed one.
    pub told: AnnouncedChange,
    /// Names of the records to confirm.
    pub open: Vec<String>,
}

/// The brake on removals, locked until the transaction ends.
#[derive(Debug)]
pub struct Locked {
    /// Whether all removals are held.
    pub engaged: bool,
    since: OffsetDateTime,
}

/// Reads the records that may report the removal of a role. A write that deleted all of `app_metadata` names no role, and is
/// none.
pub async fn records(
    tx: &mut Tx<'_>,
    user: &str,
    role: &str,
    since: OffsetDateTime,
) -> Result<Found, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT user_id, record_id, log_id, client_id, verdict IS NOT NULL AS "confirmed!" FROM foreign_writes
           WHERE user_id = coalesce((SELECT came_from FROM removals WHERE user_id = $1 AND role = $2), $1) AND log_id IS NOT NULL AND NOT own AND write_id IS NULL AND NOT wiped AND NOT roles ? $2
             AND (verdict IS NULL OR verdict = 'confirmed')
             AND written_at > $3::timestamptz - $4::double precision * interval '1 second'
           ORDER BY written_at DESC LIMIT $5"#,
        user,
        role,
        since,
        CLOCKS_APART.as_secs_f64(),
        MOST
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    let confirmed = rows.iter().find(|row| row.confirmed);
    let records = match (confirmed.is_some(), rows.is_empty()) {
        (true, _) => Records::Confirmed,
        (false, false) => Records::Unconfirmed,
        (false, true) => Records::None,
    };
    let told = confirmed.map(|row| AnnouncedChange {
        client: row.client_id.clone(),
        log_id: row.log_id.clone(),
    });
    let open = rows.iter().filter(|row| !row.confirmed);
    Ok(Found {
        of: rows.first().map(|row| row.user_id.clone()).unwrap_or_default(),
        records,
        told: told.unwrap_or_default(),
        open: open.map(|row| row.record_id.clone()).collect(),
    })
}

/// The confirmed record of a removal that the brake held.
pub async fn told(tx: &mut Tx<'_>, user: &str, role: &str) -> Result<AnnouncedChange, StoreError> {
    let told = sqlx::query_as!(
        AnnouncedChange,
        "SELECT client_id AS client, log_id FROM removals WHERE user_id = $1 AND role = $2",
        user,
        role
    );
    Ok(told.fetch_optional(&mut *tx).await?.unwrap_or_default())
}

/// Stores that a role is missing, or that its removal is held; the time of the first attempt that missed it stays.
pub async fn keep(
    tx: &mut Tx<'_>,
    user: &str,
    removal: &Removal,
    told: &AnnouncedChange,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO removals (user_id, role, found_at, state, client_id, log_id) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, client_id = excluded.client_id, log_id = excluded.log_id",
        user,
        removal.role,
        removal.found_at,
        text(removal.state),
        told.client,
        told.log_id
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Removes a removal that is settled.
pub async fn forget(tx: &mut Tx<'_>, user: &str, role: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM removals WHERE user_id = $1 AND role = $2",
        user,
        role
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// A state from its value in the table.
pub(super) fn state(text: &str) -> RemovalState {
    match text {
        "held" => RemovalState::Held,
        "released" => RemovalState::Released,
        _ => RemovalState::Waiting,
    }
}

fn text(state: RemovalState) -> &'static str {
    match state {
        RemovalState::Waiting => "waiting",
        RemovalState::Held => "held",
        RemovalState::Released => "released",
    }
}

/// Locks the brake.
pub async fn lock(tx: &mut Tx<'_>, window: Duration) -> Result<Locked, StoreError> {
    let (engaged, since) = brake_row::lock(tx, KIND, window).await?;
    Ok(Locked { engaged, since })
}

impl Locked {
    /// Number of users, `user` included, with a pin for a removal inside the window; and number of holders at its start
    /// whose role rolekeeper may revoke.
    pub async fn pinned(&self, tx: &mut Tx<'_>, user: &str) -> Result<(i64, i64), StoreError> {
        let row = sqlx::query!(
            r#"WITH pinned AS (
                   SELECT count(*) AS users FROM (
                       SELECT $1::text COLLATE "C" AS user_id
                       UNION
                       SELECT user_id FROM pins WHERE log_id IS NOT NULL AND NOT released AND pinned_at > $2
                   ) AS one
               ), counted AS (
                   SELECT value FROM counters WHERE counter = 'users_adopted'
                   UNION ALL SELECT change FROM counter_changes WHERE counter = 'users_adopted'
               )
               -- this user still counts as a holder
               SELECT users AS "users!", (users - 1 + coalesce((SELECT sum(value) FROM counted), 0))::bigint AS "holders!" FROM pinned"#,
            user,
            self.since
        );
        let row = row.fetch_one(&mut *tx).await?;
        Ok((row.users, row.holders))
    }

    /// Engages the brake: from here on every removal is held.
    pub async fn engage(&self, tx: &mut Tx<'_>, users: i64, holders: i64) -> Result<(), StoreError> {
        brake_row::engage(tx, KIND, users, holders).await
    }
}

/// Lets the next held removals become pins, where the role is still missing, or drops them: the roles are granted again.
/// Enqueues the users first, in the same order as folds and attempts.
pub(super) async fn slice(tx: &mut Tx<'_>, way: Way, after: &str) -> Result<Slice, StoreError> {
    let next = sqlx::query_scalar!(
        "SELECT DISTINCT user_id FROM removals WHERE state = 'held' AND user_id > $1 ORDER BY user_id LIMIT $2",
        after,
        SLICE
    );
    let next = next.fetch_all(&mut *tx).await?;
    work_queue::read_again(tx, &next).await?;
    let acted = match way {
        Way::Release => sqlx::query_scalar!(
            "UPDATE removals SET state = 'released' WHERE state = 'held' AND user_id = ANY($1::text[]) RETURNING user_id",
            &next
        )
        .fetch_all(&mut *tx)
        .await?,
        Way::Drop => sqlx::query_scalar!(
            "WITH dropped AS (
                 DELETE FROM removals WHERE state = 'held' AND user_id = ANY($1::text[]) RETURNING user_id, role
             ), suppressed AS (
                 UPDATE assignments a SET suppressed = false FROM dropped d WHERE a.user_id = d.user_id AND a.role = d.role
             )
             SELECT user_id FROM dropped",
            &next
        )
        .fetch_all(&mut *tx)
        .await?,
    };
    let users: BTreeSet<&String> = acted.iter().collect();
    let users = users.len() as u64;
    Ok(Slice::of(next, users))
}

/// Whether a removal is held.
pub(super) async fn left(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let left = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM removals WHERE state = 'held') AS "left!""#);
    Ok(left.fetch_one(&mut *tx).await?)
}

impl Store {
    /// State of the brake on removals, with at most `show` of the users it holds behind `after`.
    pub async fn removals_brake(&self, after: &str, show: i64) -> Result<BrakeState, StoreError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query!(
            r#"SELECT engaged_at, changes, holders,
                   (SELECT count(*) FROM (SELECT DISTINCT user_id FROM removals WHERE state = 'held' LIMIT $1) AS held) AS "held!"
               FROM brakes WHERE change = 'removed'"#,
            COUNTED_AT_MOST + 1
        )
        .fetch_one(&mut tx)
        .await?;
        let first = sqlx::query!(
            r#"SELECT user_id, array_agg(role ORDER BY role) AS "roles!" FROM removals
               WHERE state = 'held' AND user_id > $2 GROUP BY user_id ORDER BY user_id LIMIT $1"#,
            show,
            after
        );
        let first = first.fetch_all(&mut tx).await?.into_iter();
        Ok(BrakeState {
            engaged_at: row.engaged_at,
            counted: row.changes.zip(row.holders),
            held: Capped::of(row.held, COUNTED_AT_MOST),
            waiting: Capped::default(),
            first: first.map(|row| (row.user_id, row.roles)).collect(),
        })
    }
}
