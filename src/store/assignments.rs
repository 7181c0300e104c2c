//! Table `assignments`: what was decided and seen of each owned role.
//!
//! Owns adoption: which holders are ours to take a role from. Must never mark a holder adopted on its own.

use time::OffsetDateTime;

use super::{Store, StoreError, Tx, Wake};

/// What we know of one role of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Assignment {
    /// The role.
    pub role: String,
    /// What the rules last said.
    pub wanted: bool,
    /// Whether the profile had it when last read or written.
    pub held: bool,
    /// Ours to take away.
    pub adopted: bool,
    /// Since when `held` is what it is.
    pub since: OffsetDateTime,
    /// Since when the user has been below the line while the role is kept.
    pub below_since: Option<OffsetDateTime>,
    /// A person took the role away, or dropped its grant from the brake, and it is left so.
    pub overruled: bool,
    /// Whether that was verified recently.
    pub fresh: bool,
}

/// What a look found and decided of one role.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one row, each on its own")]
pub struct Seen<'a> {
    /// The role.
    pub role: &'a str,
    /// What the rules say.
    pub wanted: bool,
    /// Whether the profile has it.
    pub held: bool,
    /// Ours to take away.
    pub adopted: bool,
    /// Since when the user has been below the line while the role is kept.
    pub below_since: Option<OffsetDateTime>,
    /// A person took the role away and it is left so.
    pub overruled: bool,
}

/// Writes what a look saw or wrote, and that it was verified just now.
pub async fn seen(tx: &mut Tx<'_>, user: &str, seen: Seen<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments AS a (user_id, role, wanted, held, adopted, below_since, overruled, verified_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now())
         ON CONFLICT (user_id, role) DO UPDATE SET
             wanted = excluded.wanted, held = excluded.held, adopted = excluded.adopted,
             below_since = excluded.below_since, overruled = excluded.overruled, verified_at = excluded.verified_at,
             since = CASE WHEN a.held = excluded.held THEN a.since ELSE now() END",
        user,
        seen.role,
        seen.wanted,
        seen.held,
        seen.adopted,
        seen.below_since,
        seen.overruled
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Writes what was decided without a look.
pub async fn decided(
    tx: &mut Tx<'_>,
    user: &str,
    role: &str,
    wanted: bool,
    below_since: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE assignments SET wanted = $3, below_since = $4, overruled = overruled AND $3
         WHERE user_id = $1 AND role = $2",
        user,
        role,
        wanted,
        below_since
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Writes what was decided without a look and is not done; also for a role of which nothing is known.
pub async fn awaited(
    tx: &mut Tx<'_>,
    user: &str,
    role: &str,
    wanted: bool,
    below_since: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO assignments AS a (user_id, role, wanted, held, adopted, below_since) VALUES ($1, $2, $3, false, false, $4)
         ON CONFLICT (user_id, role) DO UPDATE SET wanted = excluded.wanted, below_since = excluded.below_since,
             overruled = a.overruled AND excluded.wanted",
        user,
        role,
        wanted,
        below_since
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Forgets the assignments of a user who is no more.
pub async fn forget(tx: &mut Tx<'_>, user: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM assignments WHERE user_id = $1", user)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Asks for a look at everybody who holds an owned role, when the time comes.
pub async fn unverify_all(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!("UPDATE assignments SET verified_at = NULL WHERE held AND verified_at IS NOT NULL")
        .execute(&mut *tx)
        .await?;
    Ok(())
}

impl Store {
    /// Takes holders of a role over: from now on it is ours to take from them. All known unadopted holders
    /// when `users` is none, otherwise these users, known or not. They are looked at next. Answers how many.
    pub async fn adopt(&self, role: &str, users: Option<&[String]>) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let adopted = sqlx::query_scalar!(
            "INSERT INTO assignments AS a (user_id, role, wanted, held, adopted)
             SELECT user_id, $1, false, false, true FROM UNNEST($2::text[]) AS named(user_id)
             UNION
             SELECT user_id, role, wanted, held, true FROM assignments WHERE role = $1 AND held AND NOT adopted AND $2 IS NULL
             ORDER BY 1
             ON CONFLICT (user_id, role) DO UPDATE SET adopted = true WHERE NOT a.adopted
             RETURNING user_id",
            role,
            users
        )
        .fetch_all(&mut tx)
        .await?;
        let mut looks: Vec<_> = adopted
            .iter()
            .map(|user| super::Nominate {
                user: user.clone(),
                urgency: super::Urgency::Revoke,
                observe: true,
                cause: None,
                restless: false,
            })
            .collect();
        super::nominations::nominate(&mut tx, &mut looks).await?;
        Wake::Nominations.send(&mut tx).await?;
        tx.commit().await?;
        Ok(adopted.len() as u64)
    }
}
