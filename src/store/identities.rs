//! Table `identities`: the Auth0 ids that are linked to another one.
//!
//! Owns which ids are one person. Must never store a link that no profile of the primary showed, nor a link to an id that is
//! linked itself.

use std::collections::{BTreeSet, HashMap};

use time::OffsetDateTime;

use super::{Priority, Store, StoreError, Tx, work_queue};
use rolekeeper_domain::ids::UserId;

/// A stored link.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The linked id.
    pub alias: String,
    /// The id that it is linked to.
    pub primary: String,
    /// The operator has undone the move that made it.
    pub undone: bool,
}

/// Stored state of an id that Auth0 does not know.
#[derive(Clone, Debug)]
pub struct Absent {
    /// The id that it is linked or moved to.
    pub alias_of: Option<String>,
    /// The ids that are linked to it.
    pub aliases: Vec<String>,
    /// Another id's rows may depend on it: it was known, or has playlists.
    pub matters: bool,
}

/// The primaries of the ids that are linked to another one; the other ids are left out.
pub async fn primaries(tx: &mut Tx<'_>, users: &[&str]) -> Result<HashMap<String, String>, StoreError> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        // Without any link the many ids are not searched for.
        "SELECT alias, primary_id FROM identities WHERE (SELECT EXISTS (SELECT FROM identities)) AND alias = ANY($1::text[])",
        users as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    Ok(rows.into_iter().map(|row| (row.alias, row.primary_id)).collect())
}

/// The persons of these ids, each by its primary, in order of id.
pub async fn persons(tx: &mut Tx<'_>, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    let primaries = primaries(tx, ids).await?;
    let person = |id: &&str| primaries.get(*id).map_or(*id, String::as_str).to_owned();
    let persons: BTreeSet<String> = ids.iter().map(person).collect();
    Ok(persons.into_iter().collect())
}

/// Lets no fold of plays and no other change of links run until the transaction ends. Call it before any other lock is taken,
/// as the fold does.
pub async fn serialize(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH cursor AS MATERIALIZED (SELECT stream FROM stream_cursors WHERE stream = 'APP_EVENTS' FOR NO KEY UPDATE)
         -- from here on the fold waits as long as this transaction waits for rows that another client has locked
         SELECT set_config('lock_timeout', '2s', true) AS lock_timeout FROM cursor"
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(())
}

/// The stored links of `user`, of the ids that are shown as linked to it, and of the ids that are linked to these.
pub async fn around(tx: &mut Tx<'_>, user: &str, shown: &[&str]) -> Result<Vec<Identity>, StoreError> {
    let rows = sqlx::query_as!(
        Identity,
        r#"SELECT alias, primary_id AS "primary", undone FROM identities
           WHERE primary_id = $1 OR alias = ANY($2::text[]) OR primary_id = ANY($2::text[]) ORDER BY alias"#,
        user,
        shown as &[&str]
    );
    Ok(rows.fetch_all(&mut *tx).await?)
}

/// Stores that `alias` is linked to `primary`, as a response of `since` showed.
pub async fn link(
    tx: &mut Tx<'_>,
    alias: &str,
    primary: &str,
    since: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO identities AS i (alias, primary_id, since) VALUES ($1, $2, coalesce($3, now()))
         ON CONFLICT (alias) DO UPDATE SET primary_id = excluded.primary_id, since = excluded.since, doubted = false, undone = false",
        alias,
        primary,
        since
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Removes the links of these ids.
pub async fn unlink(tx: &mut Tx<'_>, aliases: &[String]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM identities WHERE alias = ANY($1::text[])", aliases)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Stores that a response of `since` still shows the links of `primary` that were in doubt, or that a move had made.
pub async fn confirm(
    tx: &mut Tx<'_>,
    primary: &str,
    since: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    sqlx::query!(
        // A later token of a moved id is of another account.
        "UPDATE identities SET doubted = false, undone = false, since = CASE WHEN EXISTS (SELECT FROM moves WHERE old_id = alias) THEN since
             ELSE greatest(since, coalesce($2, now())) END
         WHERE primary_id = $1 AND (doubted OR undone)",
        primary,
        since
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores that the operator has undone the move by which these ids are linked to `primary`: they never were one person.
pub(super) async fn undo(tx: &mut Tx<'_>, aliases: &[String], primary: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE identities SET undone = true WHERE alias = ANY($1::text[]) AND primary_id = $2",
        aliases,
        primary
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores that records report the end of these links, each by alias and primary.
pub async fn doubt(tx: &mut Tx<'_>, links: &[(String, String)]) -> Result<(), StoreError> {
    if links.is_empty() {
        return Ok(());
    }
    let (aliases, primaries): (Vec<&str>, Vec<&str>) = links
        .iter()
        .map(|(alias, primary)| (alias.as_str(), primary.as_str()))
        .unzip();
    sqlx::query!(
        "UPDATE identities SET doubted = true WHERE alias IN (
             SELECT i.alias FROM identities i JOIN UNNEST($1::text[], $2::text[]) AS told(alias, primary_id)
                 ON told.alias = i.alias AND told.primary_id = i.primary_id
             ORDER BY i.alias FOR UPDATE OF i)",
        &aliases as &[&str],
        &primaries as &[&str]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// All ids of the person that `user` is an id of, the primary first; also ids whose move no attempt has stored yet.
pub(super) async fn person(tx: &mut Tx<'_>, user: &str) -> Result<Vec<String>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"WITH RECURSIVE ahead(id) AS (
               SELECT $1::text COLLATE "C" UNION SELECT m.new_id FROM ahead JOIN moves m ON m.old_id = ahead.id
           ), now AS (
               SELECT coalesce((SELECT id FROM ahead WHERE NOT EXISTS (SELECT FROM moves WHERE old_id = ahead.id)), $1) AS id
           ), of AS (
               SELECT coalesce((SELECT i.primary_id FROM identities i WHERE i.alias = now.id), now.id) AS primary_id FROM now
           ), linked AS (
               SELECT i.alias AS id FROM of JOIN identities i USING (primary_id)
           ), moved(id) AS (
               SELECT m.old_id FROM moves m WHERE m.new_id IN (SELECT id FROM linked UNION SELECT primary_id FROM of)
               UNION SELECT m.old_id FROM moves m JOIN moved ON m.new_id = moved.id
           )
           SELECT id AS "id!" FROM (
               SELECT primary_id AS id, 0 AS place FROM of UNION SELECT id, 1 FROM linked UNION SELECT id, 1 FROM moved
           ) AS ids WHERE place = 0 OR id <> (SELECT primary_id FROM of) ORDER BY place, id"#,
        user
    );
    Ok(ids.fetch_all(&mut *tx).await?)
}

impl Store {
    /// Stored state of an id that Auth0 does not know.
    pub async fn absent(&self, user: &str) -> Result<Absent, StoreError> {
        let row = sqlx::query_as!(
            Absent,
            r#"SELECT (SELECT primary_id FROM identities WHERE alias = $1) AS alias_of,
                   ARRAY(SELECT alias FROM identities WHERE primary_id = $1) AS "aliases!",
                   EXISTS (SELECT FROM playlists WHERE owner_id = $1 AND NOT deleted)
                   OR EXISTS (SELECT FROM assignments WHERE user_id = $1)
                   OR EXISTS (SELECT FROM users WHERE user_id = $1 AND gone_at IS NULL) AS "matters!""#,
            user
        );
        Ok(row.fetch_one(&self.pool).await?)
    }

    /// The id whose data a token of `user`, issued at `issued_at` by Auth0's clock, opens: the primary, if the id was linked
    /// to it after the token was issued. A later token proves that the link has ended: it opens the data of its own id alone,
    /// and the primary is read again; not for an id that the operator moved, whose move no profile ends.
    pub async fn opened_by(
        &self,
        user: &UserId<'static>,
        issued_at: Option<OffsetDateTime>,
    ) -> Result<UserId<'static>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT primary_id, doubted, $2::timestamptz <= since AS "before?",
                   EXISTS (SELECT FROM moves WHERE old_id = alias) AS "moved!"
               FROM identities WHERE alias = $1"#,
            user.as_str(),
            issued_at
        );
        let Some(row) = row.fetch_optional(&self.pool).await? else {
            return Ok(user.clone());
        };
        match (row.doubted, row.before) {
            (false, Some(true)) => {
                UserId::parse(row.primary_id.clone()).map_err(|_| StoreError::Inconsistent {
                    table: "identities",
                    column: "primary_id",
                    value: row.primary_id,
                })
            }
            (false, Some(false)) if !row.moved => {
                let mut tx = self.begin().await?;
                // The queue first, in the same order as reconcile.
                work_queue::read_next(&mut tx, &row.primary_id, Priority::NewUser).await?;
                doubt(&mut tx, &[(user.as_str().to_owned(), row.primary_id)]).await?;
                tx.commit().await?;
                crash_point!("read_first");
                Ok(user.clone())
            }
            _ => Ok(user.clone()),
        }
    }
}
