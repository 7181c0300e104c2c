//! A database a run: a copy of one that holds the playlists already.
//!
//! Owns what stands in it before, and the comparison of all counts after. The server keeps its durability; only its
//! memory and the distance of checkpoints are set, as an operator would.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rolekeeper::sandbox::servers::{Nats, Postgres, PostgresStop};
use rolekeeper::sandbox::worker;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::run::PROGRAM;
use crate::stream::playlist_id;

/// Playlists of one user.
const PLAYLISTS_OF_A_USER: u32 = 5;
/// Plays that a playlist may have before, so that some are close to the line.
pub(crate) const PLAYS_BEFORE: u32 = 200;

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

/// A database with so many playlists, to be copied; made when it is first asked for.
pub(crate) async fn template(postgres: &Postgres, nats: &Nats, playlists: u32) -> Result<String> {
    let name = format!("seeded_{playlists}");
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    let there = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
    let there: bool = there.bind(&name).fetch_one(&mut admin).await?;
    admin.close().await?;
    if !there {
        let url = postgres.create_database(&name).await?;
        let settings = [("DATABASE_URL", url.clone()), ("NATS_URL", nats.url())];
        worker::migrate(Path::new(PROGRAM), &settings).await?;
        seed(&url, playlists).await?;
    }
    Ok(name)
}

/// Fills the migrated database at `url` with playlists, in the order of their numbers.
pub(crate) async fn seed(url: &str, playlists: u32) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    // The id is [`playlist_id`] in SQL; `is_exact` would find a difference.
    let insert = sqlx::query(
        "INSERT INTO playlists (playlist_id, plays, owner_id, name)
         SELECT 'pl_' || lpad(to_hex((((mixed << 13) | (mixed >> 19)) & 4294967295) # x'5bd1e995'::bigint), 8, '0')
                    || lpad(number::text, 10, '0'),
                number % $2, 'auth0|' || lpad((number / $3)::text, 24, '0'), 'Road trip'
         FROM generate_series(0, $1 - 1) AS number, LATERAL (SELECT (number * 2654435761) & 4294967295) AS m (mixed)",
    );
    let insert = insert.bind(i64::from(playlists)).bind(i64::from(PLAYS_BEFORE));
    insert
        .bind(i64::from(PLAYLISTS_OF_A_USER))
        .execute(&mut db)
        .await?;
    sqlx::raw_sql("VACUUM (ANALYZE, FREEZE) playlists")
        .execute(&mut db)
        .await?;
    Ok(db.close().await?)
}

/// Owner of the playlist with this number; the same as in [`seed`].
pub(crate) fn owner_id(number: u32) -> String {
    format!("auth0|{:024}", number / PLAYLISTS_OF_A_USER)
}

/// Plays that a playlist has before.
pub(crate) fn plays_before(number: u32) -> i64 {
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

/// The same for somebody else's program, whose table would have no numbers of ours: they cost it time.
pub(crate) async fn copy_without_numbers(postgres: &Postgres, template: &str, name: &str) -> Result<String> {
    let url = copy(postgres, template, name).await?;
    let mut db = PgConnection::connect(&url).await?;
    sqlx::raw_sql("ALTER TABLE playlists DROP COLUMN number")
        .execute(&mut db)
        .await?;
    db.close().await?;
    Ok(url)
}

/// Drops a database whose clients may still be closing.
pub(crate) async fn drop_it(postgres: &Postgres, name: &str) -> Result<()> {
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    let sql = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    Ok(admin.close().await?)
}

/// Compares every playlist with what was there before and `counts` together. Row by row: five million need no memory here.
pub(crate) async fn is_exact(url: &str, playlists: u32, counts: &HashMap<u32, i64>) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    let mut found = 0;
    {
        let mut rows = sqlx::query("SELECT playlist_id, plays FROM playlists").fetch(&mut db);
        while let Some(row) = rows.try_next().await? {
            let (id, plays): (&str, i64) = (row.try_get("playlist_id")?, row.try_get("plays")?);
            // The id is unique and ends in its number: as many rows as numbers below `playlists` are all of them.
            let number = id
                .get(id.len().saturating_sub(10)..)
                .and_then(|end| end.parse().ok());
            let number: u32 = number.with_context(|| format!("{id} is none of ours"))?;
            anyhow::ensure!(
                number < playlists && playlist_id(number) == id,
                "{id} is none of ours"
            );
            let expected = plays_before(number) + counts.get(&number).copied().unwrap_or_default();
            anyhow::ensure!(
                plays == expected,
                "counted wrong: {id} has {plays} plays, expected {expected}"
            );
            found += 1;
        }
    }
    anyhow::ensure!(found == playlists, "{found} playlists, expected {playlists}");
    Ok(db.close().await?)
}
