//! A database a run: a copy of one that holds the playlists already.
//!
//! Owns what stands in it before, and the comparison of all counts after. The server keeps its durability; only its
//! memory and the distance of checkpoints are set, as an operator would.

use std::collections::HashMap;

use anyhow::Result;
use rolekeeper::sandbox::servers::{Postgres, PostgresStop};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::stream::playlist_id;

/// Playlists of one user.
const PLAYLISTS_OF_A_USER: u32 = 5;
/// Plays that a playlist may have before, so that some are close to the line.
const PLAYS_BEFORE: u32 = 200;
const ROWS_AT_ONCE: u32 = 50_000;

/// A Postgres with the memory of a small server of its own.
pub(crate) async fn server() -> Result<Postgres> {
    let mut postgres = Postgres::start().await?;
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    for setting in ["shared_buffers = '1GB'", "max_wal_size = '4GB'"] {
        let sql = format!("ALTER SYSTEM SET {setting}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    }
    admin.close().await?;
    postgres.stop(PostgresStop::Fast).await?;
    postgres.start_again().await?;
    Ok(postgres)
}

/// Fills the migrated database at `url` with playlists.
pub(crate) async fn seed(url: &str, playlists: u32) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    let mut from = 0;
    while from < playlists {
        let to = playlists.min(from + ROWS_AT_ONCE);
        let numbers = from..to;
        let ids: Vec<String> = numbers.clone().map(playlist_id).collect();
        let plays: Vec<i64> = numbers.clone().map(before).collect();
        let owners: Vec<String> = numbers
            .map(|n| format!("auth0|{:024}", n / PLAYLISTS_OF_A_USER))
            .collect();
        let insert = sqlx::query(
            "INSERT INTO playlists (playlist_id, plays, owner_id, name)
             SELECT id, plays, owner, 'Road trip' FROM UNNEST($1::text[], $2::bigint[], $3::text[]) AS one(id, plays, owner)",
        );
        insert.bind(ids).bind(plays).bind(owners).execute(&mut db).await?;
        from = to;
    }
    sqlx::raw_sql("VACUUM (ANALYZE, FREEZE) playlists")
        .execute(&mut db)
        .await?;
    Ok(db.close().await?)
}

fn before(number: u32) -> i64 {
    i64::from(number % PLAYS_BEFORE)
}

/// Copies `template`, which nobody is connected to; answers the copy's URL.
pub(crate) async fn copy(postgres: &Postgres, template: &str, name: &str) -> Result<String> {
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    // What the copy wrote must not be paid for by the run.
    sqlx::raw_sql("CHECKPOINT").execute(&mut admin).await?;
    admin.close().await?;
    Ok(postgres.url(name))
}

/// Drops a database whose clients may still be closing.
pub(crate) async fn drop_it(postgres: &Postgres, name: &str) -> Result<()> {
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    let sql = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    Ok(admin.close().await?)
}

/// Compares every playlist with what was there before and `counts` together.
pub(crate) async fn is_exact(url: &str, playlists: u32, counts: &HashMap<u32, i64>) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    let rows = sqlx::query("SELECT playlist_id, plays FROM playlists")
        .fetch_all(&mut db)
        .await?;
    let found: HashMap<&str, i64> = rows
        .iter()
        .map(|row| Ok((row.try_get("playlist_id")?, row.try_get("plays")?)))
        .collect::<Result<_>>()?;
    anyhow::ensure!(
        found.len() == playlists as usize,
        "{} playlists, expected {playlists}",
        found.len()
    );
    for number in 0..playlists {
        let expected = before(number) + counts.get(&number).copied().unwrap_or_default();
        let id = playlist_id(number);
        let plays = found.get(id.as_str()).copied();
        anyhow::ensure!(
            plays == Some(expected),
            "counted wrong: {id} has {plays:?} plays, expected {expected}"
        );
    }
    Ok(())
}
