//! Output for operators: metrics, health, logs.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::world::events::{plays, poison, retraction, saved};
use crate::world::{LOG_TOKEN, Worker, World, size};

const NEWEST_MESSAGE: &str = "rolekeeper_stream_last_message_timestamp_seconds";

/// Series after the traffic of 2,000 users.
const AFTER_TRAFFIC: [(&str, i64); 7] = [
    (
        r#"rolekeeper_role_changes_total{change="granted",outcome="written"}"#,
        400,
    ),
    (
        r#"rolekeeper_role_changes_total{change="revoked",outcome="written"}"#,
        50,
    ),
    (
        r#"rolekeeper_folded_messages_total{stream="APP_EVENTS"}"#,
        2_000 + 400 * 100 + 1_600 * 2 + 50 + 1,
    ),
    (
        r#"rolekeeper_dead_letters_total{reason="not_json",stream="APP_EVENTS"}"#,
        1,
    ),
    (
        r#"rolekeeper_dead_letters_total{reason="unreadable",stream="AUTH0_LOGS"}"#,
        1,
    ),
    (r#"rolekeeper_fold_lag_messages{stream="APP_EVENTS"}"#, 0),
    ("rolekeeper_work_queue_oldest_due_seconds", 0),
];

async fn metrics(worker: &Worker) -> String {
    let (status, text) = worker.get("/metrics").await.expect("the ops listener responds");
    assert_eq!(status, 200);
    text
}

/// Every series, without its value.
fn series(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').expect("a value").0.to_owned())
        .collect()
}

/// The output of `promtool check metrics`; empty when it finds nothing.
async fn promtool(metrics: &str) -> String {
    let mut command = tokio::process::Command::new("promtool");
    command
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .kill_on_drop(true);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("promtool is needed (Debian: prometheus)");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(metrics.as_bytes()).await.expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("promtool ends");
    let said = crate::world::text(&output);
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// Some of everything that is counted: every fifth user gets the role, every fortieth loses it again.
async fn traffic(world: &World, users: u32) {
    for n in 0..users {
        let (user, list) = (format!("auth0|u{n}"), format!("pl_{n}"));
        world.seed_user(&user, &[]);
        let mut events = vec![saved(&format!("s{n}"), &list, &user)];
        let number = if n % 5 == 0 { 100 } else { 2 };
        events.extend(plays(&format!("p{n}"), &list, 0..number));
        world.publish(&events).await;
    }
    world.settled().await;
    let fall = |n: u32| retraction(&format!("r{n}"), &format!("p{n}-0"), &format!("pl_{n}"));
    let falls: Vec<_> = (0..users).step_by(40).map(fall).collect();
    world.publish(&falls).await;
    world
        .publish(&[poison("bad", "pl_0", "no json", "not_json")])
        .await;
    let worker = world.worker();
    assert_eq!(worker.post_logs("wrong", "").await, Some(401));
    assert_eq!(worker.post_logs(LOG_TOKEN, "no record").await, Some(200));
    world.settled().await;
}

/// F31: a million users: no label of a metric grows with them.
#[tokio::test]
async fn f31_metrics_are_complete_from_the_start() {
    let world = World::builder().env("BRAKE_REVOKES", 1_000).start().await;
    let worker = world.worker();
    let first = metrics(&worker).await;
    assert_eq!(promtool(&first).await, "");
    let counted = first
        .lines()
        .filter(|line| line.starts_with("rolekeeper_") && line.contains("_total"));
    let at_work: Vec<&str> = counted.filter(|line| !line.ends_with(" 0")).collect();
    assert!(at_work.is_empty(), "{at_work:?}");

    traffic(&world, 2_000).await;
    let then = metrics(&worker).await;
    assert_eq!(promtool(&then).await, "");
    let first = series(&first);
    // An empty stream has no newest message, and 0 would look like a silence since 1970.
    let is_new = |series: &&String| !first.contains(*series) && !series.starts_with(NEWEST_MESSAGE);
    let then_all = series(&then);
    let new: Vec<_> = then_all.iter().filter(is_new).collect();
    assert!(new.is_empty(), "series missing at the start: {new:?}");
    for (series, value) in AFTER_TRAFFIC {
        assert_eq!(worker.count(series).await, Some(value), "{series}");
    }
    assert!(!then.contains("auth0|") && !then.contains("pl_"));
}

/// Users with a playlist each; of ten, five are holders, one is parked, and one has a decided change.
fn many(users: u32) -> String {
    format!(
        "INSERT INTO users (user_id) SELECT 'auth0|m' || n FROM generate_series(1, {users}) AS n;
         INSERT INTO playlists (playlist_id, owner_id, plays)
             SELECT 'm' || n, 'auth0|m' || n, CASE WHEN n % 2 = 0 THEN 100 ELSE 1 END FROM generate_series(1, {users}) AS n;
         INSERT INTO assignments (user_id, role, wanted, has_role, adopted, verified_at)
             SELECT 'auth0|m' || n, 'playlist_editor', true, true, true, now() FROM generate_series(2, {users}, 2) AS n;
         INSERT INTO work_queue (user_id, priority, parked_at, attempts)
             SELECT 'auth0|m' || n, 0, now(), 5 FROM generate_series(10, {users}, 10) AS n;
         INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
             SELECT gen_random_uuid(), 'auth0|m' || n, 'playlist_editor', 'granted', 100, '{{}}', 0, now(), 'written'
             FROM generate_series(10, {users}, 10) AS n"
    )
}

/// A million users with `LONG_TESTS`.
#[tokio::test]
async fn f31_no_series_comes_with_users() {
    let world = World::start().await;
    world.settled().await;
    let (worker, users) = (world.worker(), size(20_000, 1_000_000));
    let before = series(&metrics(&worker).await);
    let filled = sqlx::raw_sql(sqlx::AssertSqlSafe(many(users))).execute(&world.db);
    filled.await.expect("Postgres responds");
    let holders = r#"rolekeeper_role_holders{adoption="adopted"}"#;
    world
        .eventually("they are counted", async || {
            worker.count(holders).await == Some(i64::from(users / 2))
        })
        .await;
    let after = metrics(&worker).await;
    assert_eq!(series(&after), before);
    assert!(!after.contains("auth0|"));
}

#[tokio::test]
async fn a_standby_is_ready_and_takes_over() {
    let world = World::builder().workers(2).start().await;
    let [first, second] = &world.workers()[..] else {
        panic!("two workers")
    };
    let stages = ["fold_app_events", "fold_auth0_logs", "reconcile"];
    for (worker, how) in [(first, "active"), (second, "standby")] {
        for stage in stages {
            let answer = worker.get(&format!("/readyz/{stage}")).await;
            assert_eq!(answer, Some((200, format!("{stage}: {how}\n"))));
        }
        assert_eq!(
            worker.get("/readyz/http").await,
            Some((200, "http: listening\n".to_owned()))
        );
        assert_eq!(worker.get("/healthz").await, Some((200, "alive\n".to_owned())));
        assert_eq!(
            worker.get("/readyz/announce").await.map(|(status, _)| status),
            Some(404)
        );
        let all = worker.get("/readyz").await.expect("a response");
        assert!(all.0 == 200 && all.1.matches(how).count() == 3, "{all:?}");
    }
    first.kill9().await;
    for stage in stages {
        world
            .eventually("the standby is active", async || second.is_active(stage).await)
            .await;
    }
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_worker_runs_what_it_is_told_and_needs_no_more() {
    let world = World::builder().workers(0).start().await;
    let none = [
        ("AUTH0_CLIENT_SECRET", ""),
        ("AUTH0_DOMAIN", ""),
        ("RULES_FILE", ""),
    ];
    let listens = world
        .start_worker_with(&[&[("ONLY", "http")], &none[..2]].concat())
        .await;
    assert_eq!(
        listens.get("/readyz").await,
        Some((200, "http: listening\n".to_owned()))
    );
    let folds = world
        .start_worker_with(&[("ONLY", "fold"), ("LOG_STREAM_TOKEN", "")])
        .await;
    assert_eq!(
        folds.get("/readyz/reconcile").await.map(|(status, _)| status),
        Some(404)
    );
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world
        .eventually("the user waits for a reconciler", async || {
            world
                .number("SELECT count(*) FROM work_queue WHERE lease IS NULL")
                .await
                == Some(1)
        })
        .await;
    assert_eq!(promtool(&metrics(&listens).await).await, "");
    world.start_worker_with(&[("ONLY", "reconcile")]).await;
    world.settled().await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn while_postgres_is_away_it_is_alive_not_ready_and_says_so() {
    let world = World::builder().postgres_proxy().start().await;
    let worker = world.worker();
    let status = async |path: &str| worker.get(path).await.map(|(status, _)| status);
    world.postgres_proxy().refuse();
    world
        .eventually("it is not ready", async || status("/readyz").await == Some(503))
        .await;
    assert_eq!(
        (status("/healthz").await, status("/readyz/http").await),
        (Some(200), Some(200))
    );
    assert_eq!(worker.count("rolekeeper_database_up").await, Some(0));
    assert_eq!(worker.post_logs(LOG_TOKEN, r#"{"type":"fsa"}"#).await, Some(200));
    world.postgres_proxy().restore();
    world
        .eventually("it is ready", async || worker.is_ready().await)
        .await;
    world.settled().await;
    assert_eq!(worker.count("rolekeeper_database_up").await, Some(1));
}

/// Starts a worker that logs everything, with secrets that all contain `hunter2`.
async fn worker_with_secrets(world: &World) -> Worker {
    let (postgres, nats) = (world.postgres_proxy().port(), world.nats.lock().await.port());
    let name = world.rows("SELECT current_database() AS name").await[0]["name"].clone();
    let name = name.as_str().expect("a name");
    let database = format!("postgres://postgres:hunter2-postgres@127.0.0.1:{postgres}/{name}");
    let bus = format!("nats://user:hunter2-nats@127.0.0.1:{nats}");
    world
        .start_worker_with(&[
            ("LOG_LEVEL", "trace,sqlx=trace,async_nats=trace"),
            ("DATABASE_URL", &database),
            ("NATS_URL", &bus),
            ("AUTH0_CLIENT_SECRET", "hunter2-auth0"),
        ])
        .await
}

/// Lets a worker meet a secret that is refused and then accepted, and work with and without Postgres and NATS.
async fn through_trouble(world: &World, worker: &Worker) {
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    let refused = async || worker.count("rolekeeper_circuit_breaker_open").await == Some(1);
    world.eventually("the secret is refused", refused).await;
    let client = rolekeeper_sandbox::tenant::Client::new(crate::world::CLIENT, "hunter2-auth0");
    world.tenant.register_client(client);
    world.settled().await;
    assert_eq!(worker.post_logs(LOG_TOKEN, r#"{"type":"fsa"}"#).await, Some(200));
    world.postgres_proxy().refuse();
    let mut nats = world.nats.lock().await;
    nats.stop().await.expect("nats-server stops");
    let unready = async || !worker.is_ready().await;
    world.eventually("it is not ready", unready).await;
    nats.start_again().await.expect("nats-server starts");
    drop(nats);
    world.postgres_proxy().restore();
    world.settled().await;
}

#[tokio::test]
async fn logs_are_json_and_hold_no_secret() {
    let world = World::builder().workers(0).postgres_proxy().start().await;
    let worker = worker_with_secrets(&world).await;
    through_trouble(&world, &worker).await;
    assert!(worker.sigterm(Duration::from_secs(15)).await.success());

    let log = worker.log();
    assert!(log.lines().count() > 100, "{} lines", log.lines().count());
    for line in log.lines() {
        let read: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let target = read["target"].as_str().unwrap_or_default();
        let fields = ["timestamp", "level", "message"];
        let fields = &fields[..if target.starts_with("rolekeeper") { 3 } else { 2 }];
        assert!(fields.iter().all(|field| read[field].is_string()), "{line}");
    }
    // The tenant's tokens begin with `sandbox.`.
    for secret in ["hunter2", &LOG_TOKEN[7..], "sandbox."] {
        let told = log.lines().find(|line| line.contains(secret));
        assert!(told.is_none(), "{secret} is in the log: {told:?}");
    }
}

#[tokio::test]
async fn l2_readiness_shows_no_error_of_the_database() {
    let world = World::builder().postgres_proxy().start().await;
    let worker = world.worker();
    world.postgres_proxy().refuse();
    world
        .eventually("it is not ready", async || !worker.is_ready().await)
        .await;
    let (_, text) = worker.get("/readyz").await.expect("a response");
    assert!(
        text.contains("not ready: Postgres is unavailable; the log has the reason\n"),
        "{text}"
    );
    let told = ["os error", "error returned", "127.0.0.1"];
    assert!(!told.iter().any(|detail| text.contains(detail)), "{text}");
    let help = world.command(&["serve", "--help"]).await;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("[default: 127.0.0.1:9090]"), "{help}");
}

#[tokio::test]
async fn l2_readiness_shows_no_error_of_the_bus() {
    let world = World::builder().nats_proxy().start().await;
    let worker = world.worker();
    world.nats_proxy().refuse();
    world
        .eventually("it is not ready", async || !worker.is_ready().await)
        .await;
    let shown = "not ready: JetStream is unavailable; the log has the reason\n";
    world
        .eventually("it says why", async || {
            worker
                .get("/readyz")
                .await
                .is_some_and(|(_, text)| text.contains(shown))
        })
        .await;
    let (_, text) = worker.get("/readyz").await.expect("a response");
    let told = ["JetStream:", "timed out", "127.0.0.1"];
    assert!(!told.iter().any(|detail| text.contains(detail)), "{text}");
}
