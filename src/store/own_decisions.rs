//! Table `own_decisions`: what moved ids and their account had of a role before the move, and roles of linked ids that stay removed
//! or that their rule may keep with a count that would not give them; for each id and account on its own, since the id may be the
//! account of an earlier move.
//!
//! Owns that the end of a move takes back what came with it. Must never take a role from an account to which another client gave
//! it, nor raise what the account has.

use super::{StoreError, Tx, carried_removals};
use rolekeeper_domain::evaluation::Own;

/// The state of a role of a linked id from before the link.
#[derive(Clone, Debug)]
pub struct BeforeLink {
    /// The role.
    pub role: String,
    /// The rules, or a grant under way, gave it to the id.
    pub wanted: bool,
    /// They gave it to the account.
    pub account_wanted: bool,
    /// The id was moved, not linked.
    pub moved: bool,
}

/// Stores what an id has of a role, before a move or a link to `primary` changes it. The first one counts. `moved`: it is the moved
/// id. `account_wanted`: the rules gave the role to the account before.
pub async fn keep(
    tx: &mut Tx<'_>,
    (user, primary): (&str, &str),
    role: &str,
    own: &Own,
    (moved, account_wanted): (bool, bool),
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO own_decisions (user_id, primary_id, role, wanted, ours, by_hand, suppressed, moved, account_wanted)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        user,
        primary,
        role,
        own.wanted,
        own.ours,
        own.by_hand,
        own.suppressed,
        moved,
        account_wanted
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// The states from before the link of an id to `primary`, of each role that was stored then.
pub async fn before_link(tx: &mut Tx<'_>, alias: &str, primary: &str) -> Result<Vec<BeforeLink>, StoreError> {
    let rows = sqlx::query_as!(
        BeforeLink,
        "SELECT role, wanted, account_wanted, moved FROM own_decisions WHERE user_id = $1 AND primary_id = $2",
        alias,
        primary
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

/// Whether an id that is still linked to the account had the role before its link.
pub async fn is_had_by_another(tx: &mut Tx<'_>, primary: &str, role: &str) -> Result<bool, StoreError> {
    let had = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM identities i JOIN own_decisions o ON o.user_id = i.alias AND o.primary_id = i.primary_id
               WHERE i.primary_id = $1 AND o.role = $2 AND o.wanted
           ) AS "had!""#,
        primary,
        role
    );
    Ok(had.fetch_one(&mut *tx).await?)
}

/// Notes that the account had the role only because of an id that has left it, also before the links of its other ids.
pub async fn was_by_alias(tx: &mut Tx<'_>, primary: &str, role: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE own_decisions SET account_wanted = false WHERE primary_id = $1 AND role = $2 AND account_wanted",
        primary,
        role
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Ends the decision for a role that no reason gives the account any more.
pub async fn end_wanted(tx: &mut Tx<'_>, primary: &str, role: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE assignments SET wanted = false, below_since = NULL WHERE user_id = $1 AND role = $2 AND wanted",
        primary,
        role
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Gives an id that is no longer linked the decision that it had before.
pub async fn give_back(tx: &mut Tx<'_>, alias: &str, role: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted) VALUES ($1, $2, true, false, false)
         ON CONFLICT (user_id, role) DO UPDATE SET wanted = true WHERE NOT a.wanted",
        alias,
        role
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Limits the decisions of `primary` to what it and its other ids had, now that `alias` is no longer moved to it. A role that
/// another client had given before the move is theirs again, unless it was lost and granted since. A role that stays removed does so
/// unless the move was a mistake (`undone`).
pub(super) async fn take_back(
    tx: &mut Tx<'_>,
    alias: &str,
    primary: &str,
    undone: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE assignments a SET
             wanted = a.wanted AND (own.wanted OR others.wanted),
             suppressed = a.suppressed AND (NOT $3 OR own.suppressed OR others.suppressed OR NOT theirs.suppressed),
             adopted = a.adopted AND (NOT own.by_hand OR others.ours OR EXISTS (
                 SELECT FROM role_changes r WHERE r.user_id = $2 AND r.role = a.role AND r.change = 'granted'
                   AND coalesce(r.reason, '') NOT IN ('moved', 'user_returned') AND r.decided_at > own.stored_at
                   AND (r.completed_at IS NOT NULL OR r.outcome IS NULL)))
         FROM own_decisions own JOIN own_decisions theirs ON theirs.user_id = $1 AND theirs.primary_id = $2 AND theirs.role = own.role
             AND (theirs.moved OR $3)
         CROSS JOIN LATERAL (
             SELECT coalesce(bool_or(o.wanted), false) AS wanted, coalesce(bool_or(o.ours), false) AS ours,
                 coalesce(bool_or(o.suppressed), false) AS suppressed
             FROM identities i JOIN own_decisions o ON o.user_id = i.alias AND o.primary_id = $2 AND o.role = own.role
             WHERE i.primary_id = $2 AND i.alias <> $1
         ) AS others
         WHERE own.user_id = $2 AND own.primary_id = $2 AND a.user_id = $2 AND a.role = own.role",
        alias,
        primary,
        undone
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Suppresses the roles of ids that are no longer linked, each to the account beside it, which are suppressed there, or were at the id
/// before and could not be earned again since: the account has held them all the time.
pub(super) async fn suppress(
    tx: &mut Tx<'_>,
    aliases: &[&str],
    primaries: &[&str],
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments (user_id, role, wanted, has_role, adopted, suppressed)
         SELECT l.alias, a.role, true, false, false, true
         FROM UNNEST($1::text[], $2::text[]) AS l(alias, primary_id) JOIN assignments a ON a.user_id = l.primary_id
         LEFT JOIN own_decisions own ON own.user_id = l.alias AND own.primary_id = l.primary_id AND own.role = a.role
         WHERE a.suppressed OR (own.suppressed AND a.has_role AND a.since <= own.stored_at)
         ORDER BY l.alias, a.role
         ON CONFLICT (user_id, role) DO UPDATE SET suppressed = true WHERE NOT assignments.has_role",
        aliases as &[&str],
        primaries as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    carried_removals::copy_decided(tx, primaries, aliases).await
}

/// Removes the rows of an id that is no longer moved or linked to `primary`, and those of the account unless another id is moved to it.
pub(super) async fn forget(tx: &mut Tx<'_>, alias: &str, primary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM own_decisions WHERE primary_id = $2 AND (user_id = $1 OR (user_id = $2 AND NOT EXISTS (
             SELECT FROM own_decisions o WHERE o.primary_id = $2 AND o.user_id NOT IN ($1, $2) AND o.moved)))",
        alias,
        primary
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Removes the rows of the moves of an id that is linked to no account: its move has ended.
pub(super) async fn forget_moves(tx: &mut Tx<'_>, old: &str) -> Result<(), StoreError> {
    let accounts = sqlx::query_scalar!(
        "SELECT DISTINCT primary_id FROM own_decisions WHERE user_id = $1 AND primary_id <> $1
           AND NOT EXISTS (SELECT FROM identities WHERE alias = $1)",
        old
    );
    for account in accounts.fetch_all(&mut *tx).await? {
        forget(tx, old, &account).await?;
    }
    Ok(())
}
