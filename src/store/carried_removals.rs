//! Table `removals`: removals by hand of persons with several ids.
//!
//! Owns that a removal which is not settled outlasts what users change by themselves: they link and unlink accounts. Must never leave
//! it at the account of an undone move, which is another person.

use super::{StoreError, Tx};

/// Takes the removals of a linked id over to the primary. One that the operator decides outweighs one that waits for its record.
pub async fn take_along(tx: &mut Tx<'_>, alias: &str, primary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO removals AS r (user_id, role, found_at, state, client_id, log_id, came_from)
         SELECT $2, role, found_at, state, client_id, log_id, coalesce(came_from, user_id) FROM removals WHERE user_id = $1 ORDER BY role
         ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, client_id = excluded.client_id, log_id = excluded.log_id,
             came_from = excluded.came_from
         WHERE r.state = 'waiting' AND excluded.state <> 'waiting'",
        alias,
        primary
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Copies removals that wait for the operator, or on which the operator has acted, each from one id to the other: its role stays removed
/// there as well.
pub(super) async fn copy_decided(tx: &mut Tx<'_>, from: &[&str], to: &[&str]) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO removals (user_id, role, found_at, state, client_id, log_id)
         SELECT ids.to_id, r.role, r.found_at, r.state, r.client_id, r.log_id
         FROM UNNEST($1::text[], $2::text[]) AS ids(from_id, to_id) JOIN removals r ON r.user_id = ids.from_id
         WHERE r.state <> 'waiting' ORDER BY 1, 2
         ON CONFLICT (user_id, role) DO UPDATE SET state = excluded.state, client_id = excluded.client_id, log_id = excluded.log_id
         WHERE removals.state = 'waiting'",
        from as &[&str],
        to as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Copies the removals of an account to an id that leaves it, with the role that it is missed in. `waiting`: also those that wait for
/// their record; an id that Auth0 does not know needs none.
pub async fn outlast(tx: &mut Tx<'_>, alias: &str, primary: &str, waiting: bool) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH copied AS (
             INSERT INTO removals (user_id, role, found_at, state, client_id, log_id, came_from)
             SELECT $1, role, found_at, state, client_id, log_id, nullif(coalesce(came_from, user_id), $1)
             FROM removals WHERE user_id = $2 AND (state <> 'waiting' OR $3)
             ORDER BY role ON CONFLICT DO NOTHING RETURNING role
         )
         INSERT INTO assignments (user_id, role, wanted, has_role, adopted, since, suppressed)
         SELECT $1, role, a.wanted, a.has_role, a.adopted, a.since, a.suppressed FROM copied JOIN assignments a USING (role)
         WHERE a.user_id = $2 ORDER BY role ON CONFLICT DO NOTHING",
        alias,
        primary,
        waiting
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Returns the removals that came with a move to the moved id, since the move is undone. A role of a held one stays suppressed there.
pub async fn give_back(tx: &mut Tx<'_>, alias: &str, primary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH own AS (
             UPDATE removals SET user_id = $1, came_from = NULL WHERE user_id = $2 AND came_from = $1 RETURNING role, state
         )
         INSERT INTO assignments (user_id, role, wanted, has_role, adopted, suppressed)
         SELECT $1, role, true, false, false, true FROM own WHERE state <> 'waiting' ORDER BY role
         ON CONFLICT (user_id, role) DO UPDATE SET suppressed = true WHERE NOT assignments.has_role",
        alias,
        primary
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Whether a record that came after the last read of an id may report that another client removed the role.
pub async fn is_announced(tx: &mut Tx<'_>, user: &str, role: &str) -> Result<bool, StoreError> {
    let announced = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM foreign_writes f JOIN assignments a ON a.user_id = f.user_id AND a.role = $2
               WHERE f.user_id = $1 AND f.log_id IS NOT NULL AND NOT f.own AND f.write_id IS NULL AND NOT f.wiped AND NOT f.roles ? $2
                 AND (f.verdict IS NULL OR f.verdict = 'confirmed') AND (a.verified_at IS NULL OR f.noted_at > a.verified_at)
           ) AS "announced!""#,
        user,
        role
    );
    Ok(announced.fetch_one(&mut *tx).await?)
}
