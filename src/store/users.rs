//! Table `users`: the local copy of the tenant's users.
//!
//! Owns how a copy is stored. Must never write one that was not merged with what is there: the row stays locked from the
//! reading to the writing.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{StoreError, Tx};
use crate::domain::local_copy::{LocalCopy, Said};

/// How a user stands whom a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Nobody has read the profile yet, or Auth0 did not know the user when it was asked, or when a record said so: one
    /// that names them says that Auth0 may know them by now.
    pub to_read: bool,
}

/// Of these users, those we keep a copy of.
pub async fn known(tx: &mut Tx<'_>, users: &[&str]) -> Result<HashMap<String, Known>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT user_id, fetched_at IS NULL OR gone_at IS NOT NULL AS "to_read!"
           FROM users WHERE user_id = ANY($1::text[])"#,
        users as &[&str]
    );
    let rows = rows.fetch_all(&mut **tx).await?.into_iter();
    Ok(rows
        .map(|row| (row.user_id, Known { to_read: row.to_read }))
        .collect())
}

/// Merges what records say into the copies, in order of user id; one statement for all of them makes the rows that are
/// missing, one locks and reads, one writes those that change.
pub async fn merge(tx: &mut Tx<'_>, said: BTreeMap<String, LocalCopy>) -> Result<(), StoreError> {
    if said.is_empty() {
        return Ok(());
    }
    let seen: Vec<(&str, OffsetDateTime)> = said
        .iter()
        .filter_map(|(user, copy)| Some((user.as_str(), copy.first_seen_at?)))
        .collect();
    let mut before = lock(tx, &seen).await?;
    let mut changed = Vec::new();
    for (user, copy) in said {
        let Some(known) = before.remove(&user) else {
            continue;
        };
        let merged = known.clone().merge(copy);
        if merged != known {
            changed.push((user, merged));
        }
    }
    put(tx, &changed).await
}

/// Keeps a profile that Auth0 just answered with.
pub async fn fetched(
    tx: &mut Tx<'_>,
    user: &str,
    profile: &Map<String, Value>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let known = lock_one(tx, user, now).await?;
    put(tx, &[(user.to_owned(), known.answered(profile, now))]).await?;
    asked(tx, user).await
}

/// Notes that Auth0 does not know the user. What was kept goes, a tombstone stays.
pub async fn gone(tx: &mut Tx<'_>, user: &str, now: OffsetDateTime) -> Result<(), StoreError> {
    let known = lock_one(tx, user, now).await?;
    put(tx, &[(user.to_owned(), known.unknown(now))]).await?;
    asked(tx, user).await
}

async fn asked(tx: &mut Tx<'_>, user: &str) -> Result<(), StoreError> {
    sqlx::query!("UPDATE users SET fetched_at = now() WHERE user_id = $1", user)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn lock_one(tx: &mut Tx<'_>, user: &str, now: OffsetDateTime) -> Result<LocalCopy, StoreError> {
    Ok(lock(tx, &[(user, now)]).await?.remove(user).unwrap_or_default())
}

/// Makes the rows that are missing, with when the user was first seen, and reads all of them. They stay locked until the
/// transaction ends.
async fn lock(
    tx: &mut Tx<'_>,
    users: &[(&str, OffsetDateTime)],
) -> Result<HashMap<String, LocalCopy>, StoreError> {
    let (ids, seen): (Vec<&str>, Vec<OffsetDateTime>) = users.iter().copied().unzip();
    sqlx::query!(
        "INSERT INTO users (user_id, first_seen_at) SELECT * FROM UNNEST($1::text[], $2::timestamptz[])
         ON CONFLICT DO NOTHING",
        &ids as &[&str],
        &seen
    )
    .execute(&mut **tx)
    .await?;
    let rows = sqlx::query!(
        r#"SELECT user_id, fields, profile, profile_at, fetched_at, last_login_at, first_seen_at, alive_at,
                  greatest(deleted_at, gone_at) AS deleted_at
           FROM users WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR UPDATE"#,
        &ids as &[&str]
    );
    let mut copies = HashMap::new();
    for row in rows.fetch_all(&mut **tx).await? {
        let fields = serde_json::from_value(row.fields).map_err(|error| StoreError::Inconsistent {
            table: "users",
            column: "fields",
            value: format!("{} ({error})", row.user_id),
        })?;
        let profile = row.profile.and_then(|value| {
            // Without a date it was written by a worker that knew of none.
            let own = || value.as_object().and_then(LocalCopy::date_of);
            let at = row.profile_at.or_else(own).or(row.fetched_at)?;
            Some(Said { value, at })
        });
        let copy = LocalCopy {
            fields,
            profile,
            last_login_at: row.last_login_at,
            first_seen_at: Some(row.first_seen_at),
            alive_at: row.alive_at,
            deleted_at: row.deleted_at,
        };
        copies.insert(row.user_id, copy);
    }
    Ok(copies)
}

/// Writes copies whose rows are there and locked.
async fn put(tx: &mut Tx<'_>, copies: &[(String, LocalCopy)]) -> Result<(), StoreError> {
    if copies.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&LocalCopy) -> Option<OffsetDateTime>| -> Vec<Option<OffsetDateTime>> {
        copies.iter().map(|(_, copy)| of(copy)).collect()
    };
    let users: Vec<&str> = copies.iter().map(|(user, _)| user.as_str()).collect();
    let fields: Vec<Value> = copies
        .iter()
        .map(|(_, copy)| serde_json::to_value(&copy.fields).unwrap_or_default())
        .collect();
    let profiles: Vec<Option<&Value>> = copies
        .iter()
        .map(|(_, copy)| copy.profile.as_ref().map(|said| &said.value))
        .collect();
    sqlx::query!(
        "UPDATE users u SET fields = now.fields, profile = now.profile, profile_at = now.profile_at,
             last_login_at = now.last_login_at, first_seen_at = coalesce(now.first_seen_at, u.first_seen_at),
             alive_at = now.alive_at, deleted_at = now.deleted_at, gone_at = now.gone_at
         FROM UNNEST($1::text[], $2::jsonb[], $3::jsonb[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
                 $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
             AS now(user_id, fields, profile, profile_at, last_login_at, first_seen_at, alive_at, deleted_at, gone_at)
         WHERE u.user_id = now.user_id",
        &users as &[&str],
        &fields,
        &profiles as &[Option<&Value>],
        &column(|copy| copy.profile.as_ref().map(|said| said.at)) as &[Option<OffsetDateTime>],
        &column(|copy| copy.last_login_at) as &[Option<OffsetDateTime>],
        &column(|copy| copy.first_seen_at) as &[Option<OffsetDateTime>],
        &column(|copy| copy.alive_at) as &[Option<OffsetDateTime>],
        &column(|copy| copy.deleted_at) as &[Option<OffsetDateTime>],
        &column(LocalCopy::gone_at) as &[Option<OffsetDateTime>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
