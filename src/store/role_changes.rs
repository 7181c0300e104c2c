//! Table `role_changes`: the audit.
//!
//! Owns the states of an audit row: decided, attempted, completed or closed, announced. Must never remove a row,
//! complete one without a response or a sighting, nor mark one as announced before the stream is known to hold it.

use serde_json::Value;
use uuid::Uuid;

use super::{Claim, Store, StoreError, Tx};
use rolekeeper_domain::announcement::Announcement;
use rolekeeper_domain::history::Restored;
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::rule::Rule;
use rolekeeper_domain::snapshot::OpenChange;

/// The open changes of a user.
pub async fn open(tx: &mut Tx<'_>, user: &str) -> Result<Vec<OpenChange>, StoreError> {
    let rows = sqlx::query_as!(
        OpenChange,
        r#"SELECT change_id AS id, role, change IN ('granted', 'restored') AS "granted!", change IN ('restored', 'removed') AS "restore!"
           FROM role_changes WHERE user_id = $1 AND outcome IS NULL ORDER BY decided_at, change_id"#,
        user
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

/// Stores a decision whose write is about to be sent. With `shadow` it is closed at once, since nothing is written.
pub async fn decide(
    tx: &mut Tx<'_>,
    claim: &Claim,
    (rule, change, reason): (&Rule, RoleChange, Option<Reason>),
    plays: i64,
    shadow: bool,
) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let cause = claim.cause.as_ref();
    sqlx::query!(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, event_id, event_stored_at, outcome, queued_ms, released, attempted_at, reason,
             event_seq)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $9::text IS NULL THEN clock_timestamp() END, $12, $13)",
        id,
        claim.user.as_str(),
        rule.role,
        change.as_str(),
        plays,
        serde_json::to_value(rule).unwrap_or(Value::Null),
        cause.map(|cause| cause.event.as_str()),
        cause.map(|cause| cause.stored_at),
        shadow.then_some("shadow"),
        claim.queued_ms,
        claim.passes(change),
        reason.map(Reason::as_str),
        cause.map(|cause| cause.seq)
    )
    .execute(&mut *tx)
    .await?;
    Ok(id)
}

/// Stores that a role of another client is about to be restored or removed.
pub async fn decide_restore(
    tx: &mut Tx<'_>,
    claim: &Claim,
    restored: &Restored,
    (released, reason): (bool, Option<Reason>),
) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, released, attempted_at, client_id, log_id,
             reason)
         VALUES ($1, $2, $3, $4, 0, 'null', $5, $6, clock_timestamp(), $7, $8, $9)",
        id,
        claim.user.as_str(),
        restored.role,
        if restored.added { "restored" } else { "removed" },
        claim.queued_ms,
        released,
        restored.client,
        restored.log_id,
        reason.map(Reason::as_str)
    )
    .execute(&mut *tx)
    .await?;
    Ok(id)
}

/// Reason for a role change that no rule decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The user was deleted at Auth0, and the role with it.
    UserDeleted,
    /// Auth0 knows the user again, with the role.
    UserReturned,
    /// The operator pinned the role.
    Pinned,
    /// The id was linked to another account, and is no user any more.
    LinkedAway,
    /// An id with the role was linked to the user, whose profile has the role now.
    LinkedHere,
    /// The operator moved the person to another id.
    MovedAway,
    /// The operator moved a person with the role to the user, whose profile has the role now.
    MovedHere,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::UserDeleted => "user_deleted",
            Self::UserReturned => "user_returned",
            Self::Pinned => "pinned",
            Self::LinkedAway | Self::LinkedHere => "linked",
            Self::MovedAway | Self::MovedHere => "moved",
        }
    }

    /// The change that is announced.
    #[must_use]
    pub fn change(self) -> RoleChange {
        RoleChange::to(matches!(
            self,
            Self::UserReturned | Self::LinkedHere | Self::MovedHere
        ))
    }
}

/// Stores a role change that was seen done and that no write of ours made. A return is stored only if the newest row is
/// the deletion, and a link or a move only if the newest row is not the same change. Returns whether it was stored.
pub async fn witness(
    tx: &mut Tx<'_>,
    (user, queued_ms): (&str, i64),
    rule: &Rule,
    plays: i64,
    reason: Reason,
) -> Result<bool, StoreError> {
    let change = reason.change();
    let written = sqlx::query!(
        "WITH newest AS (
             SELECT reason, change FROM role_changes
             WHERE user_id = $2 AND role = $3 AND completed_at IS NOT NULL AND change IN ('granted', 'revoked')
             -- by Postgres' clock: the ids follow the clocks of workers
             ORDER BY completed_at DESC, change_id DESC LIMIT 1
         ), witnessed AS (
             INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, completed_at, outcome, queued_ms, reason)
             SELECT $1, $2, $3, $4, $5, $6, clock_timestamp(), 'confirmed', $7, $8
             WHERE CASE $8 WHEN 'user_deleted' THEN true
                 WHEN 'user_returned' THEN EXISTS (SELECT FROM newest WHERE reason = 'user_deleted')
                 ELSE NOT EXISTS (SELECT FROM newest WHERE change = $4) END
             RETURNING change_id
         )
         SELECT pg_notify($9, '') FROM witnessed",
        Uuid::now_v7(),
        user,
        rule.role,
        change.as_str(),
        plays,
        serde_json::to_value(rule).unwrap_or(Value::Null),
        queued_ms,
        reason.as_str(),
        super::Channel::RoleChanges.name()
    );
    Ok(written.fetch_optional(&mut *tx).await?.is_some())
}

/// Whether the newest completed change of the user and role is a grant: readers of the announcements take it for held.
pub async fn is_announced_held(tx: &mut Tx<'_>, user: &str, role: &str) -> Result<bool, StoreError> {
    let newest = sqlx::query_scalar!(
        r#"SELECT change = 'granted' AS "granted!" FROM role_changes
           WHERE user_id = $1 AND role = $2 AND completed_at IS NOT NULL AND change IN ('granted', 'revoked')
           ORDER BY completed_at DESC, change_id DESC LIMIT 1"#,
        user,
        role
    );
    Ok(newest.fetch_optional(&mut *tx).await?.unwrap_or(false))
}

/// Stores that the write of open rows is about to be sent again.
pub async fn attempt_again(tx: &mut Tx<'_>, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE role_changes SET attempted_at = clock_timestamp()
         WHERE change_id = ANY($1) AND outcome IS NULL",
        ids
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Completes rows as `written`: Auth0 responded to our write, where roles were written.
pub async fn written(tx: &mut Tx<'_>, ids: &[Uuid], write: Option<Uuid>) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH completed AS (
             UPDATE role_changes SET completed_at = clock_timestamp(), outcome = 'written', write_id = $2
             WHERE change_id = ANY($1) AND outcome IS NULL
         )
         SELECT pg_notify($3, '')",
        ids,
        write,
        super::Channel::RoleChanges.name()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Completes rows as `confirmed`: a later attempt saw them done. Assigns them to the newest write since the decision
/// whose response was not read: later news about that write is the same change.
pub async fn confirmed(tx: &mut Tx<'_>, user: &str, ids: &[Uuid]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "WITH completed AS (
             UPDATE role_changes r SET completed_at = clock_timestamp(), outcome = 'confirmed', write_id = (
                 SELECT p.write_id FROM profile_writes p
                 WHERE p.user_id = $1 AND NOT p.answered AND p.closed IS DISTINCT FROM 'refused' AND p.attempted_at >= r.decided_at
                 ORDER BY p.attempted_at DESC LIMIT 1
             )
             WHERE change_id = ANY($2) AND outcome IS NULL
         )
         SELECT pg_notify($3, '')",
        user,
        ids,
        super::Channel::RoleChanges.name()
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Completes the change made by `write` after other attempts had handled its row: in that row if it was given up, else
/// in a new row of the same decision. Returns false if this write had completed the row before.
pub async fn done_late(
    tx: &mut Tx<'_>,
    user: &str,
    (role, change): (&str, RoleChange),
    write: Uuid,
) -> Result<bool, StoreError> {
    let completed = sqlx::query!(
        "WITH decision AS (
             SELECT * FROM role_changes
             WHERE user_id = $1 AND role = $2 AND change = $3
               AND decided_at <= (SELECT attempted_at FROM profile_writes WHERE write_id = $4)
             ORDER BY decided_at DESC, change_id DESC LIMIT 1
         ), given_up AS (
             UPDATE role_changes r SET completed_at = clock_timestamp(), outcome = 'confirmed', write_id = $4
             FROM decision d WHERE r.change_id = d.change_id AND d.outcome = 'superseded'
             RETURNING 1
         ), again AS (
             INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, event_id, event_stored_at, event_seq, decided_at,
                 attempted_at, completed_at, outcome, queued_ms, released, write_id)
             SELECT $5, user_id, role, change, plays, rule, event_id, event_stored_at, event_seq, decided_at,
                 attempted_at, clock_timestamp(), 'confirmed', queued_ms, released, $4
             FROM decision WHERE NOT EXISTS (SELECT FROM given_up)
               -- one change has one row
               AND NOT EXISTS (SELECT FROM role_changes r WHERE r.user_id = $1 AND r.role = $2 AND r.change = $3 AND r.write_id = $4)
             RETURNING 1
         )
         SELECT pg_notify($6, '') FROM (SELECT FROM given_up UNION ALL SELECT FROM again) AS completed",
        user,
        role,
        change.as_str(),
        write,
        Uuid::now_v7(),
        super::Channel::RoleChanges.name()
    );
    Ok(!completed.fetch_all(&mut *tx).await?.is_empty())
}

/// Closes rows that were not done and will not be: `superseded` or `gone`.
pub async fn close(tx: &mut Tx<'_>, ids: &[Uuid], outcome: &str) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE role_changes SET outcome = $2 WHERE change_id = ANY($1) AND outcome IS NULL",
        ids,
        outcome
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Whether the newest row of the user and role is this change, decided in shadow mode.
pub async fn is_shadowed(
    tx: &mut Tx<'_>,
    claim: &Claim,
    role: &str,
    change: RoleChange,
) -> Result<bool, StoreError> {
    let newest = sqlx::query_scalar!(
        r#"SELECT change = $3 AND outcome IS NOT DISTINCT FROM 'shadow' AS "same!" FROM role_changes
           WHERE user_id = $1 AND role = $2 ORDER BY decided_at DESC, change_id DESC LIMIT 1"#,
        claim.user.as_str(),
        role,
        change.as_str()
    );
    Ok(newest.fetch_optional(&mut *tx).await?.unwrap_or(false))
}

impl Store {
    /// Completed changes of managed roles that are not announced, at most `most`, in the order of their announcement:
    /// by completion, by Postgres' clock. Rows complete out of the order of their ids, and a row may become visible
    /// behind later ones that committed first, so the position of a row never excludes it. Each change of a user is
    /// completed before the next is decided, so this is also the order of one user's changes.
    pub async fn unannounced(&self, most: i64) -> Result<Vec<Announcement>, StoreError> {
        let rows = sqlx::query_as!(
            Announcement,
            r#"SELECT change_id AS "change_id!", user_id AS "user_id!", role AS "role!", change AS "change!", plays AS "plays!",
                      rule AS "rule!", event_id, decided_at AS "decided_at!", completed_at AS "completed_at!",
                      outcome AS "outcome!", reason
               FROM (SELECT * FROM (
                         SELECT change_id, user_id, role, change, plays, rule, event_id, decided_at, completed_at, outcome, reason
                         FROM role_changes
                         WHERE completed_at IS NOT NULL AND announced_at IS NULL AND change IN ('granted', 'revoked')
                         ORDER BY completed_at, change_id LIMIT $1) AS fresh
                     UNION ALL
                     SELECT c.change_id, c.user_id, c.role, c.change, c.plays, c.rule, c.event_id, c.decided_at,
                            c.completed_at, c.outcome, c.reason
                     FROM announce_again JOIN role_changes c USING (change_id) WHERE c.announced_at IS NOT NULL) AS due
               ORDER BY completed_at, change_id LIMIT $1"#,
            most
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Marks a change as announced that the stream is known to hold, at sequence `seq` if known, and stores it as the
    /// stream's end; `sent` just now, it is not to be sent again. Returns false if it was marked before, or is unknown.
    pub async fn announced(
        &self,
        change: Uuid,
        created_ns: i64,
        seq: Option<i64>,
        sent: bool,
    ) -> Result<bool, StoreError> {
        let marked = sqlx::query_scalar!(
            r#"WITH marked AS (
                   UPDATE role_changes SET announced_at = clock_timestamp() WHERE change_id = $1::uuid AND announced_at IS NULL
                   RETURNING change_id
               ), ends AS (
                   INSERT INTO announced_end (created_ns, seq, change_id) SELECT $2::bigint, $3::bigint, $1 WHERE $3 IS NOT NULL
                   ON CONFLICT (only_row) DO UPDATE
                   SET created_ns = excluded.created_ns, seq = excluded.seq, change_id = excluded.change_id
               ), again AS (
                   DELETE FROM announce_again WHERE change_id = $1 AND $4
               )
               SELECT EXISTS (SELECT FROM marked) AS "marked!""#,
            change,
            created_ns,
            seq,
            sent
        );
        let marked = marked.fetch_one(&self.pool).await?;
        crash_point!("announced");
        Ok(marked)
    }
}
