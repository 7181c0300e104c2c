//! Table `own_pins`: pins of a moved id, and of an account in whose place a pin of a moved id stands.
//!
//! Owns how pins follow an id to its account, and how the end of a move or a link gives them back. Must never lose a pin of a moved
//! id: the move may have been a mistake. Must never free a person of a pin `off` by a link and its end: users can make both.

use serde_json::json;

use super::{StoreError, Tx, acts};
use rolekeeper_domain::act::Act;

/// Moves the pins of a linked or moved id to its primary, where `off` outweighs `on`, and a later end an earlier one; what is not
/// settled about its removals is void. Of a `moved` id, its own pins and those that they replace are kept for the end of the move.
pub async fn carry(tx: &mut Tx<'_>, alias: &str, primary: &str, moved: bool) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH carried AS (DELETE FROM pins WHERE user_id = $1 RETURNING *),
              own AS (
                  INSERT INTO own_pins AS o (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released)
                  SELECT user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released FROM carried
                  WHERE $3 AND moved_from IS NULL
                  ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
                      pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = excluded.log_id,
                      client_id = excluded.client_id, released = excluded.released
                  WHERE NOT (o.state = 'off' AND excluded.state = 'on')
              ), replaced AS (
                  INSERT INTO own_pins AS o (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released)
                  SELECT p.user_id, p.role, p.state, p.until, p.why, p.pinned_by, p.pinned_at, p.log_id, p.client_id, p.released
                  FROM pins p JOIN carried c USING (role)
                  WHERE p.user_id = $2 AND p.moved_from IS NULL AND (p.until IS NULL OR p.until > now())
                    AND outweighs(c.state, c.until, p.state, p.until)
                    AND ($3 OR c.moved_from IS NOT NULL)
                  ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
                      pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = excluded.log_id,
                      client_id = excluded.client_id, released = excluded.released
              )
         INSERT INTO pins (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released, moved_from)
         SELECT $2, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released,
             CASE WHEN $3 THEN coalesce(moved_from, user_id) ELSE moved_from END
         FROM carried
         ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
             pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = excluded.log_id,
             client_id = excluded.client_id, released = excluded.released, moved_from = excluded.moved_from
         WHERE outweighs(excluded.state, excluded.until, pins.state, pins.until)",
        alias,
        primary,
        moved
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("DELETE FROM removals WHERE user_id = $1", alias)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Gives an id that is no longer moved to `primary` its own pins back. Where its pin stood at the primary, the primary's own one
/// stands again, or that of another id of the person.
pub(super) async fn give_back(tx: &mut Tx<'_>, alias: &str, primary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH back AS (DELETE FROM own_pins WHERE user_id = $1 RETURNING *)
         INSERT INTO pins (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released)
         SELECT user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released FROM back
         ON CONFLICT (user_id, role) DO NOTHING",
        alias
    )
    .execute(&mut *tx)
    .await?;
    let ended = sqlx::query_scalar!(
        "DELETE FROM pins WHERE user_id = $2 AND moved_from = $1 RETURNING role",
        alias,
        primary
    );
    let ended = ended.fetch_all(&mut *tx).await?;
    sqlx::query!(
        "WITH next AS (
             SELECT DISTINCT ON (o.role) o.*, EXISTS (SELECT FROM moves WHERE old_id = o.user_id) AS moved FROM own_pins o
             WHERE (until IS NULL OR until > now()) AND NOT EXISTS (SELECT FROM pins p WHERE p.user_id = $2 AND p.role = o.role)
               -- of its own also where the other pin has ended by itself
               AND (o.user_id = $2 OR o.role = ANY($1::text[]) AND o.user_id IN (SELECT alias FROM identities WHERE primary_id = $2))
             ORDER BY o.role, o.state = 'on', o.until DESC NULLS FIRST, o.user_id <> $2, o.user_id
         ), own AS (
             -- of a moved id the row stays for the end of its move
             DELETE FROM own_pins o USING next n WHERE o.user_id = n.user_id AND o.role = n.role AND NOT n.moved
         )
         INSERT INTO pins (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released, moved_from)
         SELECT $2, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released, CASE WHEN moved THEN user_id END
         FROM next",
        &ended,
        primary
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Copies the pins `off` of a primary to an id that is no longer linked to it: both were one person. They do not count towards a
/// brake again.
pub(super) async fn ban(tx: &mut Tx<'_>, alias: &str, primary: &str) -> Result<(), StoreError> {
    let banned = sqlx::query_scalar!(
        "INSERT INTO pins (user_id, role, state, until, why, pinned_by, pinned_at, log_id, client_id, released)
         SELECT $1, role, state, until, why, pinned_by, pinned_at, log_id, client_id, true FROM pins
         WHERE user_id = $2 AND state = 'off' AND (until IS NULL OR until > now())
         ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, until = excluded.until, why = excluded.why,
             pinned_by = excluded.pinned_by, pinned_at = excluded.pinned_at, log_id = excluded.log_id,
             client_id = excluded.client_id, released = excluded.released, moved_from = NULL
         WHERE outweighs(excluded.state, excluded.until, pins.state, pins.until)
         RETURNING role",
        alias,
        primary
    );
    let banned = banned.fetch_all(&mut *tx).await?;
    if banned.is_empty() {
        return Ok(());
    }
    let act = Act {
        by: "the worker that reconciles".to_owned(),
        command: "pin",
        arguments: json!({"user": alias, "from": primary, "roles": banned, "state": "off"}),
        why: None,
    };
    acts::keep(
        tx,
        &act,
        "pinned off: the id was linked to an account that is pinned off",
    )
    .await
}

/// Removes the pin that a pin of a moved id replaced: the operator has spoken about the account since.
pub(super) async fn forget(tx: &mut Tx<'_>, user: &str, role: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM own_pins WHERE user_id = $1 AND role = $2
           AND NOT EXISTS (SELECT FROM moves WHERE old_id = $1)",
        user,
        role
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
