//! Table `former_identities`: ids that were linked to an account when it was deleted at Auth0.
//!
//! Owns which ids an erasure and an export take together. Must never let such an id count for another one.

use super::{StoreError, Tx, identities};

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
