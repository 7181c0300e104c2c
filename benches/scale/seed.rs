//! A database with a given number of users, each with a playlist, like one of a long-running worker.
//!
//! Owns its content: half of the users hold the role, all are known from their profiles, every holder was verified recently.
//! Must never omit a table that grows with users.

use anyhow::Result;
use rolekeeper_sandbox::traffic::{ROLE, THRESHOLD};
use sqlx::{Connection as _, PgConnection};

/// Playlists in a block, where the number in the block is the number of plays.
const BLOCK: u32 = 200;
/// The number in its block of a playlist that reaches the threshold with a single play.
const ONE_BELOW: u32 = 99;

const TABLES: [&str; 3] = [
    "INSERT INTO playlists (playlist_id, plays, owner_id, name)
     SELECT 'pl_' || lpad(number::text, 12, '0'), number % $2, 'auth0|' || lpad(number::text, 24, '0'), 'Road trip'
     FROM generate_series(0, $1 - 1) AS number WHERE $3::text IS NOT NULL AND $4::bigint > 0",
    "INSERT INTO users (user_id, profile, fetched_at, profile_at, alive_at, last_login_at)
     SELECT id, jsonb_build_object('user_id', id, 'email', id || '@example.org', 'email_verified', true, 'name', 'Listener',
             'app_metadata', CASE WHEN number % $2 >= $4 THEN jsonb_build_object('roles', jsonb_build_array($3::text)) ELSE '{}' END,
             'user_metadata', '{\"displayName\": \"Listener\"}'::jsonb), now(), now(), now(), now()
     FROM generate_series(0, $1 - 1) AS number, LATERAL (SELECT 'auth0|' || lpad(number::text, 24, '0')) AS one (id)",
    "INSERT INTO assignments (user_id, role, wanted, has_role, adopted, verified_at)
     SELECT 'auth0|' || lpad(number::text, 24, '0'), $3::text, true, true, true, now()
     FROM generate_series(0, $1 - 1) AS number WHERE number % $2 >= $4",
];

/// Fills the migrated database at `url`.
pub(crate) async fn users(url: &str, users: u32) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    for insert in TABLES {
        let insert = sqlx::query(insert).bind(i64::from(users)).bind(i64::from(BLOCK));
        insert.bind(ROLE).bind(THRESHOLD).execute(&mut db).await?;
    }
    sqlx::raw_sql("VACUUM (ANALYZE, FREEZE) playlists, users, assignments")
        .execute(&mut db)
        .await?;
    // A measurement must not include the writes of the filling.
    sqlx::raw_sql("CHECKPOINT").execute(&mut db).await?;
    Ok(db.close().await?)
}

/// Returns the user with this number, one of those that the database has.
pub(crate) fn user(number: u32) -> String {
    format!("auth0|{number:024}")
}

/// Returns a user, and the user's playlist, who reaches the threshold with one play; `which` is below a 200th of the users.
pub(crate) fn one_below(which: u32) -> (String, String) {
    let number = which * BLOCK + ONE_BELOW;
    (user(number), format!("pl_{number:012}"))
}

/// Returns the number of such users among `users`.
pub(crate) fn ones_below(users: u32) -> u32 {
    users / BLOCK
}
