//! Table `users`: the local copy of the tenant's users.
//!
//! Owns what is newest. Must never let an older record overwrite what a newer one said.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{StoreError, Tx};

/// Of these users, those whose profile nobody has read yet, and those whom Auth0 did not know when it was
/// asked: a record that names them says that it may know them by now.
pub async fn unread(tx: &mut Tx<'_>, users: &[&str]) -> Result<Vec<String>, StoreError> {
    let unread = sqlx::query_scalar!(
        r#"SELECT named.user_id AS "user!" FROM UNNEST($1::text[]) AS named(user_id)
           LEFT JOIN users u ON u.user_id = named.user_id WHERE u.fetched_at IS NULL OR u.gone_at IS NOT NULL"#,
        users as &[&str]
    );
    Ok(unread.fetch_all(&mut **tx).await?)
}

/// Notes that the tenant's log named users, in order of id, with their newest login where it was one.
pub async fn noticed(
    tx: &mut Tx<'_>,
    users: &[&str],
    logins: &[Option<OffsetDateTime>],
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO users AS u (user_id, last_login_at)
         SELECT * FROM UNNEST($1::text[], $2::timestamptz[])
         ON CONFLICT (user_id) DO UPDATE SET last_login_at = greatest(u.last_login_at, excluded.last_login_at)",
        users as &[&str],
        logins as &[Option<OffsetDateTime>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Of these users, those we keep a copy of.
pub async fn known(tx: &mut Tx<'_>, users: &[&str]) -> Result<Vec<String>, StoreError> {
    let known = sqlx::query_scalar!(
        "SELECT user_id FROM users WHERE user_id = ANY($1::text[])",
        users as &[&str]
    );
    Ok(known.fetch_all(&mut **tx).await?)
}

/// Keeps a profile that was just read from Auth0.
pub async fn fetched(tx: &mut Tx<'_>, user: &str, profile: &Map<String, Value>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO users (user_id, profile, fetched_at) VALUES ($1, $2, now())
         ON CONFLICT (user_id) DO UPDATE SET profile = excluded.profile, fetched_at = excluded.fetched_at, gone_at = NULL",
        user,
        without_nul(&Value::Object(profile.clone()))
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that Auth0 does not know the user any more. The profile goes, a tombstone stays.
pub async fn gone(tx: &mut Tx<'_>, user: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO users (user_id, gone_at, fetched_at) VALUES ($1, now(), now())
         ON CONFLICT (user_id) DO UPDATE SET gone_at = now(), fetched_at = now(), profile = NULL",
        user
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Postgres' jsonb takes no NUL inside a string; a profile is other people's text.
fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => Value::Array(items.iter().map(without_nul).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_nul(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
