//! One database per run: a copy of a template that already holds the playlists.
//!
//! Owns its initial content, and the comparison of all counts afterwards.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rolekeeper_sandbox::servers::{Nats, Postgres};
use rolekeeper_sandbox::traffic::{ROLE, THRESHOLD};
use rolekeeper_sandbox::worker::{self, Worker};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::time::sleep;

use crate::program::{self, PROGRAM};
use crate::stream::playlist_id;

/// Playlists of one user.
const PLAYLISTS_OF_A_USER: u32 = 5;
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Most initial plays of a playlist, so that some are close to the threshold.
pub(crate) const PLAYS_BEFORE: u32 = 200;

/// Shows the work queue of a baseline under its present name; the queue is the one table with leases.
const PRESENT_NAMES: &str = "DO $$
    DECLARE
        queue regclass := (SELECT attrelid::regclass FROM pg_attribute WHERE attname = 'lease_until' AND attnum > 0
            AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace));
    BEGIN
        IF to_regclass('work_queue') IS NULL THEN
            EXECUTE format('CREATE VIEW work_queue AS SELECT parked_at, held AS held_by FROM %s', queue);
        END IF;
    END $$";

/// Returns a template database with this many playlists; it is created at the first request.
pub(crate) async fn template(postgres: &Postgres, nats: &Nats, playlists: u32) -> Result<String> {
    let name = format!("seeded_{playlists}");
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    let there = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
    let there: bool = there.bind(&name).fetch_one(&mut admin).await?;
    admin.close().await?;
    if !there {
        make(Path::new(PROGRAM), postgres, nats, &name, playlists).await?;
    }
    Ok(name)
}

/// Creates a database like one of a long-running worker of `program`: it has this many playlists, owners above the threshold
/// hold the role, and the rules are in force.
pub(crate) async fn make(
    program: &Path,
    postgres: &Postgres,
    nats: &Nats,
    name: &str,
    playlists: u32,
) -> Result<()> {
    let url = postgres.create_database(name).await?;
    let settings = program::settings(&url, &nats.url());
    worker::migrate(program, &settings).await?;
    seed(&url, playlists).await?;
    let mut db = PgConnection::connect(&url).await?;
    sqlx::raw_sql(PRESENT_NAMES).execute(&mut db).await?;
    let mut worker = Worker::spawn(program, &settings)?;
    let opened = "SELECT EXISTS (SELECT FROM rules_in_force)
                  AND EXISTS (SELECT FROM stream_cursors WHERE stream = 'APP_EVENTS')";
    while !sqlx::query_scalar::<_, bool>(opened).fetch_one(&mut db).await? {
        worker.still_runs()?;
        sleep(POLL_INTERVAL).await;
    }
    worker.stop().await?;
    // Each copy reads a separate stream, from its start.
    sqlx::raw_sql("DELETE FROM stream_cursors")
        .execute(&mut db)
        .await?;
    Ok(db.close().await?)
}

/// Fills the migrated database at `url` with playlists, in the order of their numbers, and with the holders of the role.
async fn seed(url: &str, playlists: u32) -> Result<()> {
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
    let insert = sqlx::query(
        // By position: a baseline may have another name for a column.
        "INSERT INTO assignments
         SELECT owner_id, $1, true, true, true, now(), now() FROM playlists GROUP BY owner_id HAVING max(plays) >= $2",
    );
    insert.bind(ROLE).bind(THRESHOLD).execute(&mut db).await?;
    sqlx::raw_sql("VACUUM (ANALYZE, FREEZE) playlists, assignments")
        .execute(&mut db)
        .await?;
    Ok(db.close().await?)
}

/// Returns the owner of the playlist with this number; the same as in [`seed`].
pub(crate) fn owner_id(number: u32) -> String {
    format!("auth0|{:024}", number / PLAYLISTS_OF_A_USER)
}

/// Returns the initial plays of a playlist.
pub(crate) fn plays_before(number: u32) -> i64 {
    i64::from(number % PLAYS_BEFORE)
}

/// Copies `template`, which has no connections; returns the copy's URL.
pub(crate) async fn copy(postgres: &Postgres, template: &str, name: &str) -> Result<String> {
    let mut admin = PgConnection::connect(&postgres.url("postgres")).await?;
    let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    // The run must not include the writes of the copy.
    sqlx::raw_sql("CHECKPOINT").execute(&mut admin).await?;
    admin.close().await?;
    Ok(postgres.url(name))
}

/// As [`copy`], for a peer, whose table would not have our keys, which cost time.
pub(crate) async fn copy_without_keys(postgres: &Postgres, template: &str, name: &str) -> Result<String> {
    let url = copy(postgres, template, name).await?;
    let mut db = PgConnection::connect(&url).await?;
    sqlx::raw_sql("ALTER TABLE playlists DROP COLUMN key")
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

/// Compares every playlist with its initial plays plus `counts`, row by row, so that five million need no memory here.
pub(crate) async fn is_exact(url: &str, playlists: u32, counts: &HashMap<u32, i64>) -> Result<()> {
    let mut db = PgConnection::connect(url).await?;
    let mut found = 0;
    {
        let mut rows = sqlx::query("SELECT playlist_id, plays FROM playlists").fetch(&mut db);
        while let Some(row) = rows.try_next().await? {
            let (id, plays): (&str, i64) = (row.try_get("playlist_id")?, row.try_get("plays")?);
            // The id is unique and ends in its number, so the right number of rows with numbers below `playlists` means all.
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
