//! F56: 3 million users, playlists and holders: idle, scrape, start, rule change, erasure, a call for Auth0's own roles: the cost is as
//! with 30 thousand.
//!
//! Counts the rows that Postgres reads, which no other load of the machine changes; the bench `scale` measures CPU and time.

use std::time::{Duration, Instant};

use rolekeeper_sandbox::tenant::Endpoint;
use serde_json::json;

use crate::world::erasure::KEY;
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, VERSION, rule};
use crate::world::{LOG_TOKEN, World, size};

/// Time until changed rules are in force, however many users there are.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);
/// Rows that a start reads, whatever comes after: it compares one partition of 5,000 users, and may do so twice.
const READ_AT_MOST: i64 = 60_000;
/// Longest time until all users are stored and compared.
const FILLED_WITHIN: Duration = Duration::from_mins(10);
const TABLES: [&str; 3] = [
    "INSERT INTO playlists (playlist_id, plays, owner_id) SELECT 'pl_' || n, 150, 'auth0|h' || n FROM generate_series(1, $1) AS n",
    "INSERT INTO users (user_id, profile, fetched_at, profile_at, alive_at)
     SELECT 'auth0|h' || n, '{\"app_metadata\": {\"roles\": [\"playlist_editor\"]}}', now(), now(), now() FROM generate_series(1, $1) AS n",
    "INSERT INTO assignments (user_id, role, wanted, has_role, adopted, verified_at)
     SELECT 'auth0|h' || n, 'playlist_editor', true, true, true, now() FROM generate_series(1, $1) AS n",
];
/// Rows of these tables that were read, as far as the sessions have reported it: at the latest when they end.
const READ: &str = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
    WHERE relname IN ('playlists', 'users', 'assignments')";

/// Holders of the role with a playlist each, all compared with the rules, and no worker.
async fn filled(users: u32, rules: &RulesFile) -> World {
    let builder = World::builder().workers(0).env("ERASURE_KEY", KEY);
    let builder = builder.env("SWEEP_INTERVAL_S", 3_600);
    let world = builder.env("RULES_FILE", rules.path().display()).start().await;
    for table in TABLES {
        let all = sqlx::query(table).bind(i64::from(users)).execute(&world.db);
        all.await.expect("Postgres responds");
    }
    world
        .run_sql("VACUUM (ANALYZE) playlists, users, assignments")
        .await;
    let worker = world.start_worker().await;
    let compared = async || world.number("SELECT count(*) FROM walk WHERE changed").await == Some(0);
    world
        .eventually_within(FILLED_WITHIN, "all users are compared", compared)
        .await;
    worker.sigterm(Duration::from_secs(20)).await;
    world
}

#[tokio::test]
async fn f56_few_rows_are_read_beside_many_users() {
    let users = size(60_000, 600_000);
    let rules = RulesFile::new(&rule(ROLE, 100, 100, ""));
    let world = filled(users, &rules).await;
    let before = world.number(READ).await.expect("a number");
    let worker = world.start_worker().await;
    for _ in 0..20 {
        assert_eq!(worker.get("/metrics").await.map(|(status, _)| status), Some(200));
    }
    let call = json!({"type": "sapi", "log_id": "rbac", "date": "2026-11-24T00:00:00Z", "details": {"request": {"method": "post",
        "path": "/api/v2/roles/rol_1/users", "body": {"users": ["auth0|h5"]}}}});
    assert_eq!(worker.post_logs(LOG_TOKEN, call.to_string()).await, Some(200));
    let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'AUTH0_LOGS'";
    world.count_is("the call is folded", folded, 1).await;
    world.told(&["erase", "--force", "auth0|h7"]).await;
    let idle = "SELECT count(*) FROM workers WHERE seen_at > started_at + interval '9 seconds'";
    world.count_is("it was idle for a while", idle, 1).await;
    worker.sigterm(Duration::from_secs(20)).await;
    let read = world.number(READ).await.expect("a number") - before;
    assert!(read < READ_AT_MOST, "{read} rows were read beside {users} users");
    assert_eq!(
        world.calls_to(Endpoint::ReadUser),
        0,
        "no holder was verified again"
    );
}

/// The comparison of all users with them goes on behind it.
#[tokio::test]
async fn f56_changed_rules_are_in_force_at_once_beside_many_users() {
    let rules = RulesFile::new(&rule(ROLE, 100, 100, ""));
    let world = filled(size(30_000, 600_000), &rules).await;
    let worker = world.start_worker().await;
    let changed = Instant::now();
    rules.write(&rule(ROLE, 120, 120, ""));
    let in_force = async || worker.count(VERSION).await == Some(2) && worker.is_ready().await;
    world
        .eventually_within(IN_FORCE_WITHIN, "they are in force", in_force)
        .await;
    eprintln!("in force after {:?}", changed.elapsed());
    world.played("ann", 120).await;
    world
        .holders_are("she earns it by them", &["ann"], &["ann"])
        .await;
    world.played("bob", 119).await;
    let counted = "SELECT plays FROM playlists WHERE playlist_id = 'pl_bob'";
    world.count_is("all is counted", counted, 119).await;
    world
        .holders_are("one play is missing", &["ann", "bob"], &["ann"])
        .await;
}
