//! The users whose roles may change under given rules, partition by partition, for a plan.
//!
//! Owns transactions that each see one moment and cannot write, so that a role with SELECT alone is enough. Must never read more
//! than one partition in a transaction, nor a whole table: users are taken in the order of their ids, by index.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::out_of_date::{self, Compare};
use super::{
    InForce, Store, StoreError, Tx, counters, identities, pending_moves, rules_in_force, snapshot, walk,
};
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::preview::Beside;
use rolekeeper_domain::snapshot::Snapshot;

/// Age of a verification that counts as fresh: a plan compares decisions, and leaves verification to the sweep.
const ANY_AGE: Duration = Duration::from_hours(24 * 3650);
/// Time for which a change counts as recent.
const RECENT: Duration = Duration::from_hours(24);
/// Users whose snapshots one statement reads.
const AT_ONCE: usize = 500;
/// An id behind all others: a user beyond the last partition may have a pin alone.
const BEHIND_ALL: &str = "\u{10FFFF}";

/// Settings of the transaction: as the walk, it finds users by index, whatever the planner knows of the tables.
const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_custom_plan";

/// A user whose roles may change.
#[derive(Debug)]
pub struct Candidate {
    /// The user.
    pub user: String,
    /// The facts that decide.
    pub snapshot: Snapshot,
    /// The facts that do not.
    pub beside: Beside,
    /// Ids that the operator moved to the user, and no attempt has linked yet.
    pub moved: Vec<(String, Snapshot)>,
}

/// The candidates of a partition.
#[derive(Debug)]
pub struct Candidates {
    /// They, in the order of ids.
    pub users: Vec<Candidate>,
    /// The last id of the partition; `None` after the last partition.
    pub to: Option<String>,
}

/// The state of the deployment that a plan names.
#[derive(Debug)]
pub struct Deployment {
    /// Time of the read, by Postgres' clock.
    pub now: OffsetDateTime,
    /// The rules in force; `None` before the first start of a worker.
    pub in_force: Option<InForce>,
    /// Users with a managed role, as a brake on grants counts holders.
    pub holders: i64,
    /// Users whose managed role rolekeeper may revoke, as a brake on revokes counts holders.
    pub adopted: i64,
}

impl Store {
    /// Reads the state of the deployment.
    ///
    /// # Errors
    /// [`StoreError::RulesFormat`] if this release does not know the format of the rules in force.
    pub async fn deployment(&self) -> Result<Deployment, StoreError> {
        let mut tx = self.begin_preview().await?;
        let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
        Ok(Deployment {
            now: now.fetch_one(&mut tx).await?,
            in_force: rules_in_force::stored(&mut tx).await?,
            holders: counters::holders(&mut tx, RoleChange::Granted).await?,
            adopted: counters::holders(&mut tx, RoleChange::Revoked).await?,
        })
    }

    /// The candidates of the partition behind `from`; the profile is read only for rules with `conditions`.
    pub async fn candidates(
        &self,
        compare: &Compare<'_>,
        conditions: bool,
        from: &str,
    ) -> Result<Candidates, StoreError> {
        let mut tx = self.begin_preview().await?;
        let (to, ended) = walk::end_of_partition(&mut tx, from).await?;
        let to = to.filter(|_| !ended);
        let bounds = (from, to.as_deref().unwrap_or(BEHIND_ALL));
        let mut users = out_of_date::candidates(&mut tx, compare, bounds).await?;
        let moved = pending_moves::accounts(&mut tx, bounds).await?;
        if !moved.is_empty() {
            users.extend(moved);
            users.sort_unstable();
            users.dedup();
        }
        Ok(Candidates {
            users: read(&mut tx, &users, conditions).await?,
            to,
        })
    }

    /// The person that has this id, as a candidate; `None` if nothing that concerns roles is stored of it.
    pub async fn candidate(&self, user: &str, conditions: bool) -> Result<Option<Candidate>, StoreError> {
        let mut tx = self.begin_preview().await?;
        let ids = identities::person(&mut tx, user).await?;
        let primary = ids.first().map_or(user, String::as_str).to_owned();
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM users WHERE user_id = ANY($1::text[])) OR EXISTS (SELECT FROM playlists WHERE owner_id = ANY($1::text[]))
                   OR EXISTS (SELECT FROM assignments WHERE user_id = ANY($1::text[])) OR EXISTS (SELECT FROM pins WHERE user_id = ANY($1::text[]))
                   AS "known!""#,
            &ids
        );
        if !known.fetch_one(&mut tx).await? {
            return Ok(None);
        }
        Ok(read(&mut tx, &[primary], conditions).await?.pop())
    }

    /// These users, as candidates, in their order.
    pub async fn candidates_of(
        &self,
        users: &[String],
        conditions: bool,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut tx = self.begin_preview().await?;
        read(&mut tx, users, conditions).await
    }

    async fn begin_preview(&self) -> Result<Tx<'static>, StoreError> {
        let mut tx = self.begin_to_read().await?;
        sqlx::raw_sql(BY_INDEX).execute(&mut tx).await?;
        Ok(tx)
    }
}

/// The facts of planned users, in their order, in a transaction of the caller.
pub async fn read(tx: &mut Tx<'_>, users: &[String], conditions: bool) -> Result<Vec<Candidate>, StoreError> {
    let mut candidates = Vec::with_capacity(users.len());
    for users in users.chunks(AT_ONCE) {
        let ids: Vec<&str> = users.iter().map(String::as_str).collect();
        let read = snapshot::of_users(tx, &ids, ANY_AGE, conditions).await?;
        let beside = beside(tx, &ids).await?;
        let moved = pending_moves::of_users(tx, &read, (ANY_AGE, conditions)).await?;
        let all = users.iter().zip(read).zip(beside).zip(moved);
        candidates.extend(all.map(|(((user, snapshot), beside), moved)| Candidate {
            user: user.clone(),
            snapshot,
            beside,
            moved,
        }));
    }
    Ok(candidates)
}

/// The facts beside the snapshots, in the order of the users.
async fn beside(tx: &mut Tx<'_>, users: &[&str]) -> Result<Vec<Beside>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT (SELECT u.profile #> '{app_metadata,roles}' FROM users u WHERE u.user_id = named.user_id) AS roles,
               (SELECT true FROM work_queue q WHERE q.user_id = named.user_id AND q.parked_at IS NOT NULL) IS NOT NULL AS "parked!",
               (SELECT true FROM work_queue q WHERE q.user_id = named.user_id AND q.debounce_until > now()) IS NOT NULL AS "flapping!",
               greatest((SELECT u.fetched_at FROM users u WHERE u.user_id = named.user_id),
                   (SELECT g.marked_at FROM gone_users g WHERE g.user_id = named.user_id)) AS read_at,
               c.role AS "changed_role!", c.granted AS "granted!"
           FROM UNNEST($1::text[]) WITH ORDINALITY AS named(user_id, place)
           CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(role), '{}') AS role, coalesce(array_agg(change = 'granted'), '{}') AS granted
               FROM role_changes
               WHERE user_id = named.user_id AND change IN ('granted', 'revoked')
                 AND completed_at > now() - $2::double precision * interval '1 second'
           ) AS c
           ORDER BY named.place"#,
        users as &[&str],
        RECENT.as_secs_f64()
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .map(|row| Beside {
            roles: roles(row.roles.as_ref()),
            parked: row.parked,
            flapping: row.flapping,
            changed: row
                .changed_role
                .into_iter()
                .zip(row.granted)
                .map(|(role, granted)| (role, RoleChange::to(granted)))
                .collect(),
            read_at: row.read_at,
        })
        .collect())
}

/// The roles of a profile; none of a value of another form.
fn roles(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|role| role.as_str().map(str::to_owned)).collect()
}
