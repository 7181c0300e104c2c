//! Table `brake_releases`: releases and drops of held changes that are under way.
//!
//! Owns how far each is, so that a command that was interrupted is continued by the next one. Must never let two commands act
//! on one brake at a time: the later one takes over.

use std::time::Duration;

use uuid::Uuid;

use super::{Store, StoreError, Tx};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::view::brakes::UnderWay;

/// The kind of held changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldKind {
    /// Grants or revokes.
    Changes(RoleChange),
    /// Restores of other clients' roles.
    Restores,
    /// Roles that other clients removed.
    Removals,
    /// Users unknown to Auth0.
    Gone,
}

/// The operator's decision about held changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They pass.
    Release,
    /// They are given up.
    Drop,
}

/// The next part of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The held users, slice by slice. The brake is still engaged.
    Held,
    /// Users that were marked as gone before the brake engaged.
    Marked,
    /// The end of the brake.
    Off,
    /// Users that were held behind the position.
    Left,
}

/// A release or a drop that this command makes.
#[derive(Debug)]
pub struct Release {
    /// The kind of changes.
    pub held: HeldKind,
    /// The decision.
    pub way: Way,
    /// Users released or dropped so far, by an interrupted command before this one too.
    pub users: u64,
    pub(super) act: Act,
    /// The act is stored; more than one slice was needed.
    pub(super) begun: bool,
    pub(super) phase: Phase,
    /// The last user of the last slice.
    pub(super) position: String,
    run: Uuid,
}

impl Release {
    /// Whether the brake is released; only users that were held meanwhile may be left.
    #[must_use]
    pub fn brake_has_ended(&self) -> bool {
        self.phase == Phase::Left
    }
}

impl HeldKind {
    /// The kind in the tables.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Changes(change) => change.as_str(),
            Self::Restores => "restored",
            Self::Removals => "removed",
            Self::Gone => "gone",
        }
    }
}

/// Begins, or continues what an interrupted command of the same kind began: with all who are held now. A command that still runs
/// can no longer commit. With `patience` it returns none, and takes nothing over, where that command moved within this time.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    held: HeldKind,
    way: Way,
    act: &Act,
    patience: Option<Duration>,
) -> Result<Option<Release>, StoreError> {
    let run = Uuid::now_v7();
    let row = sqlx::query!(
        "INSERT INTO brake_releases AS b (change, run, is_drop, acted_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (change) DO UPDATE SET run = excluded.run, is_drop = excluded.is_drop, acted_by = excluded.acted_by,
             moved_at = excluded.moved_at,
             began_at = CASE WHEN b.is_drop = excluded.is_drop THEN b.began_at ELSE excluded.began_at END,
             -- from the first one again: those who were held meanwhile are included, and the others are no longer held
             position = '',
             users = CASE WHEN b.is_drop = excluded.is_drop THEN b.users ELSE 0 END
         WHERE $5::double precision IS NULL OR b.moved_at < now() - $5 * interval '1 second'
         RETURNING position, users",
        held.as_str(),
        run,
        way == Way::Drop,
        act.by,
        patience.map(|patience| patience.as_secs_f64())
    );
    let row = row.fetch_optional(&mut *tx).await?;
    Ok(row.map(|row| Release {
        held,
        way,
        users: row.users.unsigned_abs(),
        act: act.clone(),
        begun: row.users > 0,
        phase: Phase::Held,
        position: row.position,
        run,
    }))
}

/// Stores the end of a slice, with its number of users. Returns false if another command has taken over.
pub(super) async fn advance(
    tx: &mut Tx<'_>,
    release: &Release,
    last: &str,
    users: u64,
) -> Result<bool, StoreError> {
    let moved = sqlx::query!(
        "UPDATE brake_releases SET position = $3, users = users + $4, moved_at = now() WHERE change = $1 AND run = $2",
        release.held.as_str(),
        release.run,
        last,
        i64::try_from(users).unwrap_or(i64::MAX)
    );
    Ok(moved.execute(&mut *tx).await?.rows_affected() == 1)
}

/// Ends it. Returns false if another command has taken over.
pub(super) async fn end(tx: &mut Tx<'_>, release: &Release) -> Result<bool, StoreError> {
    let ended = sqlx::query!(
        "DELETE FROM brake_releases WHERE change = $1 AND run = $2",
        release.held.as_str(),
        release.run
    );
    Ok(ended.execute(&mut *tx).await?.rows_affected() == 1)
}

/// Stops the one that is under way, or was interrupted, and returns it: the command that makes it commits no more.
pub(super) async fn stop(tx: &mut Tx<'_>, held: HeldKind) -> Result<Option<UnderWay>, StoreError> {
    let stopped = sqlx::query_as!(
        UnderWay,
        r#"DELETE FROM brake_releases WHERE change = $1 RETURNING is_drop AS "drop", acted_by AS by, began_at, moved_at, users"#,
        held.as_str()
    );
    Ok(stopped.fetch_optional(&mut *tx).await?)
}

impl Store {
    /// The release or drop of this kind that is under way, or was interrupted.
    pub async fn release_under_way(&self, held: HeldKind) -> Result<Option<UnderWay>, StoreError> {
        let row = sqlx::query_as!(
            UnderWay,
            r#"SELECT is_drop AS "drop", acted_by AS by, began_at, moved_at, users FROM brake_releases WHERE change = $1"#,
            held.as_str()
        );
        Ok(row.fetch_optional(&self.pool).await?)
    }
}
