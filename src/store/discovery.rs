//! Tables `discovery` and `discovered_roles`: the search at Auth0 for all holders of managed roles.
//!
//! Owns its position and its result, which move in the transaction that stores the holders. Must never store a user id here.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Channel, Store, StoreError, Tx, acts};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::discovery::{Found, Position};
use rolekeeper_domain::plural::noun;

/// A run that is not complete, or the last one.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// The users come from a users export job; else from searches.
    pub exports: bool,
    /// The job at Auth0.
    pub job: Option<String>,
    /// Lines of its file that are done.
    pub lines: i64,
    /// Entries or lines that are no user.
    pub unreadable: i64,
    /// Its begin.
    pub began_at: OffsetDateTime,
    /// Time since users were last read.
    pub idle: Duration,
    /// Its end: all users are read.
    pub done_at: Option<OffsetDateTime>,
    /// Position and result of each role, in the order of the roles.
    pub roles: Vec<DiscoveredRole>,
}

/// Position and result of one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredRole {
    /// The role.
    pub role: String,
    /// The users that are left; none when all are read.
    pub position: Option<Position>,
    /// The result so far.
    pub found: Found,
}

/// Adds to the result of a role.
pub async fn add(tx: &mut Tx<'_>, role: &str, found: &Found) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE discovered_roles SET ours = ours + $2, earned = earned + $3, unearned = unearned + $4, unclear = unclear + $5,
             erased = erased + $6
         WHERE role = $1",
        role,
        found.ours,
        found.earned,
        found.unearned,
        found.unclear,
        found.erased
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Moves the search for the holders of a role; none as position when all are read. Adds entries that are no user.
pub async fn advance(
    tx: &mut Tx<'_>,
    role: &str,
    position: Option<&Position>,
    unreadable: i64,
) -> Result<(), StoreError> {
    let (bound, created_at, seen) = match position {
        None | Some(Position::Begin) => ("begin", None, 0),
        Some(Position::From(from)) => ("from", Some(*from), 0),
        Some(Position::At { at, seen }) => ("at", Some(*at), i32::try_from(*seen).unwrap_or(i32::MAX)),
        Some(Position::After(after)) => ("after", Some(*after), 0),
    };
    sqlx::query!(
        "UPDATE discovered_roles SET bound = $2, created_at = $3, seen = $4, done = $5 WHERE role = $1",
        role,
        bound,
        created_at,
        seen,
        position.is_none()
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE discovery SET unreadable = unreadable + $1, moved_at = clock_timestamp()",
        unreadable
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Moves past lines of the file.
pub async fn advance_file(tx: &mut Tx<'_>, lines: i64, unreadable: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE discovery SET lines = $1, unreadable = unreadable + $2, moved_at = clock_timestamp()",
        lines,
        unreadable
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// The last run; `None` before the first one.
    pub async fn discovery(&self) -> Result<Option<Discovery>, StoreError> {
        let run = sqlx::query!(
            r#"SELECT exports, job_id, lines, unreadable, began_at, done_at,
                   greatest(extract(epoch FROM now() - moved_at), 0)::double precision AS "idle_s!" FROM discovery"#
        );
        let Some(run) = run.fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        let roles = sqlx::query_as!(
            Row,
            "SELECT role, bound, created_at, seen, done, ours, earned, unearned, unclear, erased FROM discovered_roles ORDER BY role"
        );
        let roles = roles.fetch_all(&self.pool).await?;
        let roles: Result<_, _> = roles.into_iter().map(DiscoveredRole::try_from).collect();
        Ok(Some(Discovery {
            exports: run.exports,
            job: run.job_id,
            lines: run.lines,
            unreadable: run.unreadable,
            began_at: run.began_at,
            idle: Duration::try_from_secs_f64(run.idle_s).unwrap_or(Duration::MAX),
            done_at: run.done_at,
            roles: roles?,
        }))
    }

    /// Begins a run for these roles.
    pub async fn begin_discovery(&self, roles: &[&str], exports: bool, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!("DELETE FROM discovery").execute(&mut tx).await?;
        sqlx::query!("DELETE FROM discovered_roles")
            .execute(&mut tx)
            .await?;
        sqlx::query!("INSERT INTO discovery (exports) VALUES ($1)", exports)
            .execute(&mut tx)
            .await?;
        sqlx::query!(
            "INSERT INTO discovered_roles (role) SELECT UNNEST($1::text[])",
            roles as &[&str]
        )
        .execute(&mut tx)
        .await?;
        acts::keep(&mut tx, act, "begun").await?;
        tx.commit().await?;
        crash_point!("begun");
        Ok(())
    }

    /// Reads the users from the file of this job, from its begin; `None`: of a job that is still to be created. The result so
    /// far is void.
    pub async fn discover_by_export(&self, job: Option<&str>) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!(
            "UPDATE discovery SET exports = true, job_id = $1, lines = 0, unreadable = 0, moved_at = clock_timestamp()",
            job
        )
        .execute(&mut tx)
        .await?;
        sqlx::query!(
            "UPDATE discovered_roles SET bound = 'begin', created_at = NULL, seen = 0, done = false,
                 ours = 0, earned = 0, unearned = 0, unclear = 0, erased = 0"
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        crash_point!("export_begun");
        Ok(())
    }

    /// Ends the run: all users are read. Wakes the sweep's worker for the users that were enqueued.
    pub async fn end_discovery(&self, act: &Act) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query!("UPDATE discovery SET done_at = now(), job_id = NULL")
            .execute(&mut tx)
            .await?;
        let found = sqlx::query_scalar!(
            r#"SELECT coalesce(sum(ours + earned + unearned + unclear + erased), 0)::bigint AS "found!" FROM discovered_roles"#
        );
        let found = found.fetch_one(&mut tx).await?;
        acts::keep(
            &mut tx,
            act,
            &format!(
                "done: {found} {} found",
                noun(found, "role of a user", "roles of users")
            ),
        )
        .await?;
        Channel::WorkQueue.send(&mut tx).await?;
        tx.commit().await?;
        crash_point!("ended");
        Ok(())
    }
}

struct Row {
    role: String,
    bound: String,
    created_at: Option<OffsetDateTime>,
    seen: i32,
    done: bool,
    ours: i64,
    earned: i64,
    unearned: i64,
    unclear: i64,
    erased: i64,
}

impl TryFrom<Row> for DiscoveredRole {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let position = match (row.bound.as_str(), row.created_at) {
            ("begin", None) => Position::Begin,
            ("from", Some(from)) => Position::From(from),
            ("at", Some(at)) => Position::At {
                at,
                seen: u32::try_from(row.seen).unwrap_or(0),
            },
            ("after", Some(after)) => Position::After(after),
            _ => {
                return Err(StoreError::Inconsistent {
                    table: "discovered_roles",
                    column: "bound",
                    value: row.bound,
                });
            }
        };
        Ok(Self {
            role: row.role,
            position: (!row.done).then_some(position),
            found: Found {
                ours: row.ours,
                earned: row.earned,
                unearned: row.unearned,
                unclear: row.unclear,
                erased: row.erased,
            },
        })
    }
}
