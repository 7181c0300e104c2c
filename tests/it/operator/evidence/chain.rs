//! The chain: an independent count of its hashes, and a worker that is killed while it extends the chain.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{PERIOD, UNCHAINED, chained, lines, sha256, verified, written};
use crate::world::{World, user};

/// Completed changes that no worker made.
const MANY: &str = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
    SELECT gen_random_uuid(), 'auth0|u' || n, 'playlist_editor', 'granted', n, '{\"grant_at\": 100}', 0, clock_timestamp(), 'written'
    FROM generate_series(1, 3000) AS n";
/// Changes at another place than that of their completion.
const MISPLACED: &str = "SELECT count(*) FROM (SELECT chain_position, row_number() OVER (ORDER BY completed_at, change_id) AS place
    FROM role_changes) AS placed WHERE chain_position <> place";
/// Columns that are not hashed: they may change, or are the chain itself.
const APART: [&str; 7] = [
    "user_id",
    "announced_at",
    "chain_position",
    "chain_previous",
    "chain_hash",
    "user_hash",
    "user_salt",
];

/// Bytes as Postgres writes them in JSON.
fn hex(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("\\x")
        .to_owned()
}

/// The object that is hashed, from the columns alone.
fn record(row: &Value, user: &str) -> Value {
    let columns = row.as_object().expect("a row").clone().into_iter();
    let kept = columns.filter(|(name, _)| !APART.contains(&name.as_str()));
    let mut record: BTreeMap<String, Value> = kept.collect();
    for at in record
        .iter_mut()
        .filter_map(|(name, value)| name.ends_with("_at").then_some(value))
    {
        if let Some(text) = at.as_str() {
            *at = text.replace("+00:00", "Z").into();
        }
    }
    record.insert("user".to_owned(), user.into());
    serde_json::to_value(record).expect("JSON")
}

/// Counts the chain from the rows and compares it with theirs. Returns its length and its last hash.
async fn recounted(world: &World) -> (usize, String) {
    let rows = "SELECT * FROM role_changes WHERE chain_position IS NOT NULL ORDER BY chain_position";
    let rows = world.rows(rows).await;
    let mut previous = "0".repeat(64);
    for (position, row) in (1..).zip(&rows) {
        let salted = format!(
            "{} {}",
            hex(&row["user_salt"]),
            row["user_id"].as_str().expect("an id")
        );
        let user = sha256(&salted);
        assert_eq!(hex(&row["user_hash"]), user);
        let digest = sha256(&record(row, &user).to_string());
        let hash = sha256(&format!("{position} {previous} {digest}"));
        assert_eq!(row["chain_position"], position);
        assert_eq!(hex(&row["chain_previous"]), previous);
        assert_eq!(hex(&row["chain_hash"]), hash, "{row}");
        previous = hash;
    }
    (rows.len(), previous)
}

#[tokio::test]
async fn the_chain_equals_an_independent_count() {
    let world = World::start().await;
    let names = ["ann", "bob", "cid"];
    for name in names {
        world.played(name, 100).await;
    }
    world.holders_are("all earn it", &names, &names).await;
    world.retracted("bob", 0..1).await;
    world.gone("bob").await;
    world.settled().await;
    chained(&world).await;
    let (length, last) = recounted(&world).await;
    assert_eq!(length, 4);
    let file = tempfile::tempdir().expect("a folder");
    let file = file.path().join("all.ndjson");
    written(&world, &file, &[]).await;
    let lines = lines(&file);
    assert_eq!(lines.len(), 6);
    assert_eq!(
        (&lines[5]["changes"], &lines[5]["end"]["hash"]),
        (&4.into(), &last.as_str().into())
    );
    let bob = lines[1..5]
        .iter()
        .find(|line| line["record"]["change"] == "revoked");
    let bob = bob.expect("the revoke");
    assert_eq!(
        (&bob["user_id"], &bob["record"]["plays"]),
        (&user("bob").into(), &99.into())
    );
    assert_eq!(bob["record"]["rule"]["grant_at"], 100);
    assert_eq!(bob["record"]["event_id"], "r-bob-0");
    assert_eq!(verified(&world, &file).await.0, Some(0));
}

#[tokio::test]
async fn a_worker_killed_while_it_chains_leaves_a_correct_chain() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(MANY).await;
    for left in [2500, 1500, 500] {
        let worker = world.start_worker().await;
        world
            .eventually("a part is in the chain", async || {
                world.number(UNCHAINED).await < Some(left)
            })
            .await;
        worker.kill9().await;
    }
    world.start_worker().await;
    chained(&world).await;
    assert_eq!(recounted(&world).await.0, 3000);
    assert_eq!(
        world.number(MISPLACED).await,
        Some(0),
        "in order, while others lock rows"
    );
    let output = world.command(&PERIOD).await;
    assert_eq!(output.status.code(), Some(0), "{}", crate::world::text(&output));
}

/// It is frozen with the end of the chain locked, until another worker has taken over.
#[tokio::test]
async fn a_frozen_worker_neither_stops_nor_splits_the_chain() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(MANY).await;
    let mut end = world.db.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM role_change_chain FOR UPDATE")
        .execute(&mut *end)
        .await
        .expect("a lock");
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let frozen = world.start_worker().await;
    world.count_is("it waits for the end", waiting, 1).await;
    frozen.sigstop();
    end.rollback().await.expect("Postgres responds");
    world.start_worker().await;
    world
        .eventually_within(Duration::from_mins(1), "another worker extends it", async || {
            world.number(UNCHAINED).await == Some(0)
        })
        .await;
    frozen.sigcont();
    world.run_sql(MANY).await;
    chained(&world).await;
    assert_eq!(recounted(&world).await.0, 6000);
}
