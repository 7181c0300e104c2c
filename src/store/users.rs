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
    let rows = rows.fetch_all(&mut *tx).await?.into_iter();
    Ok(rows
        .map(|row| (row.user_id, Known { to_read: row.to_read }))
        .collect())
}

/// One row to be locked.
struct Asked<'u> {
    user: &'u str,
    /// When the user was first seen, if the row is missing.
    seen: OffsetDateTime,
    /// The profile is to be compared, so it has to be read; it is by far the largest part of a row.
    whole: bool,
}

/// Merges what records say into the copies, in order of user id: one statement for all of them makes the rows that are
/// missing, one locks and reads, one writes those that change.
pub async fn merge(tx: &mut Tx<'_>, said: BTreeMap<String, LocalCopy>) -> Result<(), StoreError> {
    if said.is_empty() {
        return Ok(());
    }
    let asked: Vec<Asked<'_>> = said
        .iter()
        .filter_map(|(user, copy)| {
            Some(Asked {
                user,
                seen: copy.first_seen_at?,
                whole: copy.profile.is_some(),
            })
        })
        .collect();
    let mut before = lock(tx, &asked).await?;
    let mut changed = Vec::new();
    for (user, copy) in said {
        let Some(known) = before.remove(&user) else {
            continue;
        };
        let now = known.clone().merge(copy);
        if now != known {
            changed.push((user, known, now));
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
    let asked = Asked {
        user,
        seen: now,
        whole: true,
    };
    answered(tx, asked, |known| known.answered(profile, now)).await
}

/// Notes that Auth0 does not know the user. What was kept goes, a tombstone stays.
pub async fn gone(tx: &mut Tx<'_>, user: &str, now: OffsetDateTime) -> Result<(), StoreError> {
    let asked = Asked {
        user,
        seen: now,
        whole: false,
    };
    answered(tx, asked, |known| known.unknown(now)).await
}

async fn answered(
    tx: &mut Tx<'_>,
    asked: Asked<'_>,
    learn: impl FnOnce(LocalCopy) -> LocalCopy,
) -> Result<(), StoreError> {
    let user = asked.user;
    let known = lock(tx, &[asked]).await?.remove(user).unwrap_or_default();
    let now = learn(known.clone());
    put(tx, &[(user.to_owned(), known, now)]).await?;
    sqlx::query!("UPDATE users SET fetched_at = now() WHERE user_id = $1", user)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

/// Makes the rows that are missing and reads all of them; a profile that was not asked for as null, with its date. They stay
/// locked until the transaction ends.
async fn lock(tx: &mut Tx<'_>, asked: &[Asked<'_>]) -> Result<HashMap<String, LocalCopy>, StoreError> {
    let ids: Vec<&str> = asked.iter().map(|asked| asked.user).collect();
    let seen: Vec<OffsetDateTime> = asked.iter().map(|asked| asked.seen).collect();
    let whole: Vec<bool> = asked.iter().map(|asked| asked.whole).collect();
    sqlx::query!(
        "INSERT INTO users (user_id, first_seen_at) SELECT * FROM UNNEST($1::text[], $2::timestamptz[])
         ON CONFLICT DO NOTHING",
        &ids as &[&str],
        &seen
    )
    .execute(&mut *tx)
    .await?;
    let rows = sqlx::query!(
        r#"SELECT u.user_id, fields, CASE WHEN asked.whole THEN profile END AS profile,
                  CASE WHEN profile IS NOT NULL THEN coalesce(profile_at, fetched_at) END AS profile_at,
                  last_login_at, first_seen_at, alive_at, greatest(deleted_at, gone_at) AS deleted_at
           FROM users u JOIN UNNEST($1::text[], $2::boolean[]) AS asked(user_id, whole) ON asked.user_id = u.user_id
           ORDER BY u.user_id FOR UPDATE OF u"#,
        &ids as &[&str],
        &whole
    );
    let mut copies = HashMap::new();
    for row in rows.fetch_all(&mut *tx).await? {
        let fields = serde_json::from_value(row.fields).map_err(|error| StoreError::Inconsistent {
            table: "users",
            column: "fields",
            value: format!("{} ({error})", row.user_id),
        })?;
        let value = row.profile.unwrap_or_default();
        let copy = LocalCopy {
            fields,
            profile: row.profile_at.map(|at| Said { value, at }),
            last_login_at: row.last_login_at,
            first_seen_at: Some(row.first_seen_at),
            alive_at: row.alive_at,
            deleted_at: row.deleted_at,
        };
        copies.insert(row.user_id, copy);
    }
    Ok(copies)
}

/// Writes copies whose rows are there and locked: user, what was, what is now. A profile that stays is not sent.
async fn put(tx: &mut Tx<'_>, copies: &[(String, LocalCopy, LocalCopy)]) -> Result<(), StoreError> {
    if copies.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&LocalCopy) -> Option<OffsetDateTime>| -> Vec<Option<OffsetDateTime>> {
        copies.iter().map(|(_, _, now)| of(now)).collect()
    };
    let users: Vec<&str> = copies.iter().map(|(user, ..)| user.as_str()).collect();
    let fields: Vec<Value> = copies
        .iter()
        .map(|(_, _, now)| serde_json::to_value(&now.fields).unwrap_or_default())
        .collect();
    let stays: Vec<bool> = copies
        .iter()
        .map(|(_, known, now)| known.profile == now.profile)
        .collect();
    let profiles: Vec<Option<&Value>> = copies
        .iter()
        .zip(&stays)
        .map(|((_, _, now), stays)| now.profile.as_ref().filter(|_| !stays).map(|said| &said.value))
        .collect();
    sqlx::query!(
        "UPDATE users u SET fields = now.fields,
             profile = CASE WHEN now.stays THEN u.profile ELSE now.profile END, profile_at = now.profile_at,
             last_login_at = now.last_login_at, first_seen_at = coalesce(now.first_seen_at, u.first_seen_at),
             alive_at = now.alive_at, deleted_at = now.deleted_at, gone_at = now.gone_at
         FROM UNNEST($1::text[], $2::jsonb[], $3::boolean[], $4::jsonb[], $5::timestamptz[], $6::timestamptz[],
                 $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[])
             AS now(user_id, fields, stays, profile, profile_at, last_login_at, first_seen_at, alive_at, deleted_at, gone_at)
         WHERE u.user_id = now.user_id",
        &users as &[&str],
        &fields,
        &stays,
        &profiles as &[Option<&Value>],
        &column(|copy| copy.profile.as_ref().map(|said| said.at)) as &[Option<OffsetDateTime>],
        &column(|copy| copy.last_login_at) as &[Option<OffsetDateTime>],
        &column(|copy| copy.first_seen_at) as &[Option<OffsetDateTime>],
        &column(|copy| copy.alive_at) as &[Option<OffsetDateTime>],
        &column(|copy| copy.deleted_at) as &[Option<OffsetDateTime>],
        &column(LocalCopy::gone_at) as &[Option<OffsetDateTime>]
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}
