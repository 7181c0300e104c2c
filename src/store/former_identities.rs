//! Table `former_identities`: ids that were linked to an account when it was deleted at Auth0.
//!
//! Owns which ids an erasure and an export take together, and which a move may take along. Must never let such an id count for another one.

use super::{Store, StoreError, Tx, identities};

/// All ids of the person that `user` is or was an id of, the primary first: also those that were linked until the account was
/// deleted.
pub(super) async fn person(tx: &mut Tx<'_>, user: &str) -> Result<Vec<String>, StoreError> {
    let former = sqlx::query_scalar!("SELECT primary_id FROM former_identities WHERE alias = $1", user);
    let former = former.fetch_optional(&mut *tx).await?;
    let mut ids = identities::person(tx, former.as_deref().unwrap_or(user)).await?;
    let linked = sqlx::query_scalar!(
        "SELECT alias FROM former_identities WHERE primary_id = ANY($1::text[]) AND alias <> ALL($1::text[]) ORDER BY alias",
        &ids
    );
    ids.extend(linked.fetch_all(&mut *tx).await?);
    Ok(ids)
}

/// Keeps the links of an account that is deleted, before they end. The caller keeps erased users out.
pub async fn keep(tx: &mut Tx<'_>, primary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO former_identities AS f (alias, primary_id) SELECT alias, primary_id FROM identities WHERE primary_id = $1
             ON CONFLICT (alias) DO UPDATE SET primary_id = excluded.primary_id, ended_at = now() WHERE f.primary_id <> excluded.primary_id",
        primary
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Goes back to the links of `old` when its move is undone: the move made the ids `along` linked ids of another account. The ids
/// `with_old`, `old` included, were none of that account.
pub(super) async fn return_to(
    tx: &mut Tx<'_>,
    old: &str,
    (along, with_old): (&[String], &[String]),
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM former_identities WHERE alias = ANY($1::text[]) AND primary_id <> ALL($1::text[])",
        with_old
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "INSERT INTO former_identities (alias, primary_id) SELECT alias, $2 FROM UNNEST($1::text[]) AS along(alias) ON CONFLICT DO NOTHING",
        along,
        old
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

impl Store {
    /// The ids that are linked to an account by its last profile, or were when it was deleted at Auth0.
    pub async fn linked_to(&self, primary: &str) -> Result<Vec<String>, StoreError> {
        let linked = sqlx::query_scalar!(
            r#"SELECT alias AS "alias!" FROM identities WHERE primary_id = $1 AND NOT EXISTS (SELECT FROM moves WHERE old_id = alias)
               UNION SELECT alias FROM former_identities WHERE primary_id = $1 ORDER BY 1"#,
            primary
        );
        Ok(linked.fetch_all(&self.pool).await?)
    }
}
