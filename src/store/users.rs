//! Table `users`: the local copy of the tenant's users.
//!
//! Owns the storage of a copy, and that a row begins with a response of Auth0: a record with an invented id stores
//! nothing. Must never write a copy without merging the stored one; the row stays locked from the read to the write.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{Store, StoreError, Tx};
use rolekeeper_domain::date;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::local_copy::{LocalCopy, kept_profile};

impl Store {
    /// The subscription plan, `app_metadata.plan`, from Auth0's last response, never from a record; `None` if there is
    /// none, or no text.
    pub async fn plan(&self, user: &UserId<'_>) -> Result<Option<String>, StoreError> {
        let plan = sqlx::query_scalar!(
            "SELECT profile #>> '{app_metadata,plan}' FROM users
             WHERE user_id = $1 AND fetched_at IS NOT NULL AND jsonb_typeof(profile #> '{app_metadata,plan}') = 'string'",
            user.as_str()
        );
        Ok(plan.fetch_optional(&self.pool).await?.flatten())
    }
}

/// State of a user that a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The profile was never read, or Auth0 last reported the user as deleted, which the brake may hold: a record suggests that
    /// Auth0 may know the user by now.
    pub to_read: bool,
    /// Request time of the newest response.
    pub asked_at: Option<OffsetDateTime>,
}

/// `created_at` of the last whole profile that was read of each of these users, by user.
pub async fn created_at(
    tx: &mut Tx<'_>,
    users: &[&str],
) -> Result<HashMap<String, OffsetDateTime>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT user_id, profile->>'created_at' AS "created_at!" FROM users
           WHERE user_id = ANY($1::text[]) AND profile->>'created_at' IS NOT NULL"#,
        users as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .filter_map(|row| Some((row.user_id, date::of_text(&row.created_at)?)))
        .collect())
}

/// The users among these that have a local copy.
pub async fn known(tx: &mut Tx<'_>, users: &[&str]) -> Result<HashMap<String, Known>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT user_id, asked_at, asked_at IS NULL OR gone_at IS NOT NULL
               OR (SELECT engaged_at FROM gone_brake) IS NOT NULL
                   AND EXISTS (SELECT FROM work_queue n WHERE n.user_id = u.user_id AND n.held_by = 'brake_gone') AS "to_read!"
           FROM users u WHERE user_id = ANY($1::text[])"#,
        users as &[&str]
    );
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    let known = rows.map(|row| {
        let known = Known {
            to_read: row.to_read,
            asked_at: row.asked_at,
        };
        (row.user_id, known)
    });
    Ok(known.collect())
}

/// Merges profile data of records into the existing copies, except of deleted users, in order of user id. One statement
/// locks and reads, one writes the changed copies.
pub async fn merge(tx: &mut Tx<'_>, mut said: BTreeMap<String, LocalCopy>) -> Result<(), StoreError> {
    said.retain(|_, copy| !copy.is_empty());
    if said.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = said.keys().map(String::as_str).collect();
    let mut before = lock(tx, &ids).await?;
    let mut changed = Vec::new();
    for (user, copy) in said {
        let Some(row) = before.remove(&user).filter(|row| !row.gone) else {
            continue;
        };
        let now = row.copy.clone().merge(copy);
        if now != row.copy {
            changed.push((user, now));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let users: Vec<&str> = changed.iter().map(|(user, _)| user.as_str()).collect();
    let fields: Vec<Value> = changed.iter().map(|(_, now)| fields(now)).collect();
    let logins: Vec<Option<OffsetDateTime>> = changed.iter().map(|(_, now)| now.last_login_at).collect();
    sqlx::query!(
        "UPDATE users u SET fields = now.fields, last_login_at = now.last_login_at
         FROM UNNEST($1::text[], $2::jsonb[], $3::timestamptz[]) AS now(user_id, fields, last_login_at)
         WHERE u.user_id = now.user_id",
        &users as &[&str],
        &fields,
        &logins as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Whether the last stored profile had any value in `app_metadata.roles`.
pub async fn had_roles(tx: &mut Tx<'_>, user: &str) -> Result<bool, StoreError> {
    let had = sqlx::query_scalar!(
        r#"SELECT coalesce(profile #> '{app_metadata,roles}' NOT IN ('[]', 'null'), false) AS "had!" FROM users WHERE user_id = $1"#,
        user
    );
    Ok(had.fetch_optional(&mut *tx).await?.unwrap_or(false))
}

/// Stores a profile from Auth0's response to a request at `asked_at`, by Postgres' clock.
pub async fn fetched(
    tx: &mut Tx<'_>,
    user: &str,
    profile: &Map<String, Value>,
    asked_at: OffsetDateTime,
) -> Result<(), StoreError> {
    all_fetched(tx, &[(user, profile, asked_at)]).await
}

/// Stores profiles of different users, each with the time of its request.
pub async fn all_fetched(
    tx: &mut Tx<'_>,
    fetched: &[(&str, &Map<String, Value>, OffsetDateTime)],
) -> Result<(), StoreError> {
    let users: Vec<&str> = fetched.iter().map(|(user, _, _)| *user).collect();
    let asked: Vec<OffsetDateTime> = fetched.iter().map(|(_, _, asked_at)| *asked_at).collect();
    sqlx::query!(
        "INSERT INTO users (user_id, first_seen_at)
         SELECT * FROM UNNEST($1::text[], $2::timestamptz[]) ORDER BY 1 ON CONFLICT DO NOTHING",
        &users as &[&str],
        &asked
    )
    .execute(&mut *tx)
    .await?;
    let mut known = lock(tx, &users).await?;
    let mut changed = Vec::new();
    for (user, profile, asked_at) in fetched {
        let known = known.remove(*user).unwrap_or_default().copy;
        if known.asked_at <= Some(*asked_at) {
            changed.push((*user, known.answered(profile, *asked_at), kept_profile(profile)));
        }
    }
    let users: Vec<&str> = changed.iter().map(|(user, _, _)| *user).collect();
    let copies: Vec<Value> = changed.iter().map(|(_, now, _)| fields(now)).collect();
    let profiles: Vec<Value> = changed.iter().map(|(_, _, profile)| profile.clone()).collect();
    let asked: Vec<Option<OffsetDateTime>> = changed.iter().map(|(_, now, _)| now.asked_at).collect();
    let logins: Vec<Option<OffsetDateTime>> = changed.iter().map(|(_, now, _)| now.last_login_at).collect();
    sqlx::query!(
        "WITH apart AS (DELETE FROM former_identities WHERE alias = ANY($1) OR primary_id = ANY($1))
         UPDATE users u SET fields = now.fields, profile = now.profile, profile_at = now.asked_at, asked_at = now.asked_at,
             alive_at = now.asked_at, last_login_at = now.last_login_at,
             gone_at = NULL, gone_since = NULL, deleted_at = NULL, fetched_at = now()
         FROM UNNEST($1::text[], $2::jsonb[], $3::jsonb[], $4::timestamptz[], $5::timestamptz[])
             AS now(user_id, fields, profile, asked_at, last_login_at)
         WHERE u.user_id = now.user_id",
        &users as &[&str],
        &copies,
        &profiles,
        &asked as &[Option<OffsetDateTime>],
        &logins as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores that Auth0 knows the user, by a request at `asked_at`, although only a part of the profile could be read: the
/// stored copy stays.
pub async fn found(tx: &mut Tx<'_>, user: &str, asked_at: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH apart AS (DELETE FROM former_identities WHERE alias = $1 OR primary_id = $1)
         INSERT INTO users (user_id, first_seen_at, fetched_at, alive_at) VALUES ($1, $2, now(), $2)
         ON CONFLICT (user_id) DO UPDATE SET fetched_at = now(), gone_at = NULL, gone_since = NULL,
             deleted_at = NULL, alive_at = $2",
        user,
        asked_at
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Stores that Auth0 reports the user as deleted, by a request at `asked_at`, by Postgres' clock. Removes the copy and
/// keeps a tombstone, but only for a user with a copy or a playlist.
pub async fn gone(tx: &mut Tx<'_>, user: &str, asked_at: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO users (user_id, first_seen_at)
         SELECT $1::text, $2::timestamptz WHERE EXISTS (SELECT FROM playlists WHERE owner_id = $1) ON CONFLICT DO NOTHING",
        user,
        asked_at
    )
    .execute(&mut *tx)
    .await?;
    let Some(row) = lock(tx, &[user]).await?.remove(user) else {
        return Ok(());
    };
    if row.copy.asked_at > Some(asked_at) {
        return Ok(());
    }
    let now = row.copy.unknown(asked_at);
    sqlx::query!(
        "UPDATE users SET fields = $2, profile = NULL, profile_at = NULL, last_login_at = $3, asked_at = $4, gone_at = $4,
             gone_since = coalesce(gone_since, $4), deleted_at = $4, fetched_at = now()
         WHERE user_id = $1",
        user,
        fields(&now),
        now.last_login_at,
        now.asked_at
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// As [`gone`], for an id that is linked to another account: its person is not deleted.
pub async fn linked(tx: &mut Tx<'_>, user: &str, asked_at: OffsetDateTime) -> Result<(), StoreError> {
    gone(tx, user, asked_at).await?;
    sqlx::query!(
        "WITH linked AS (DELETE FROM former_identities WHERE alias = $1)
         UPDATE users SET gone_since = NULL WHERE user_id = $1",
        user
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// A stored row.
#[derive(Debug, Default)]
struct Row {
    copy: LocalCopy,
    /// By the newest response the user is deleted.
    gone: bool,
}

/// Reads the existing rows and locks them until the transaction ends.
async fn lock(tx: &mut Tx<'_>, users: &[&str]) -> Result<HashMap<String, Row>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT user_id, fields, last_login_at, asked_at, gone_at IS NOT NULL AS "gone!" FROM users
           WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR UPDATE"#,
        users as &[&str]
    );
    let mut copies = HashMap::new();
    for row in rows.fetch_all(&mut *tx).await? {
        let fields = serde_json::from_value(row.fields).map_err(|error| StoreError::Inconsistent {
            table: "users",
            column: "fields",
            value: format!("{} ({error})", row.user_id),
        })?;
        let copy = LocalCopy {
            fields,
            last_login_at: row.last_login_at,
            asked_at: row.asked_at,
        };
        copies.insert(row.user_id, Row { copy, gone: row.gone });
    }
    Ok(copies)
}

fn fields(copy: &LocalCopy) -> Value {
    serde_json::to_value(&copy.fields).unwrap_or_default()
}
