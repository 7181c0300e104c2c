//! Role changes are announced: each once, in order, after any restart of workers and servers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::events::{plays, retraction, saved};
use crate::world::oracle;
use crate::world::{CLIENT, World, text};

const STREAM: &str = "ROLE_CHANGES";
/// Longest time until everything is announced, while servers and workers restart.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(90);

/// A message of the stream.
#[derive(Debug)]
struct Told {
    id: String,
    subject: String,
    payload: Value,
}

/// The whole stream, oldest first.
async fn told(world: &World) -> Vec<Told> {
    let stream = world.jetstream.get_stream(STREAM).await.expect("the stream");
    let state = stream.cached_info().state.clone();
    assert_eq!(state.messages, state.last_sequence, "nothing is ever removed");
    let mut told = Vec::new();
    for seq in 1..=state.last_sequence {
        let message = stream.get_raw_message(seq).await.expect("a message");
        told.push(Told {
            id: message.headers.get("Nats-Msg-Id").expect("an id").to_string(),
            subject: message.subject.to_string(),
            payload: serde_json::from_slice(&message.payload).expect("JSON"),
        });
    }
    told
}

/// Number of messages in the stream; none while it does not respond.
async fn count(world: &World) -> Option<u64> {
    let stream = world.jetstream.get_stream(STREAM).await.ok()?;
    Some(stream.cached_info().state.messages)
}

/// Waits until the stream has `messages` more than now, at most `within`.
async fn told_more(world: &World, messages: u64, within: Duration) {
    let deadline = Instant::now() + within;
    let goal = count(world).await.unwrap_or_default() + messages;
    world
        .eventually_within(ANNOUNCED_WITHIN, "more is announced", async || {
            Instant::now() >= deadline || count(world).await.is_some_and(|told| told >= goal)
        })
        .await;
}

/// Waits until no completed change is left to announce.
async fn all_told(world: &World) {
    world
        .eventually_within(ANNOUNCED_WITHIN, "everything is announced", async || {
            let waiting =
                "SELECT count(*) FROM role_changes WHERE completed_at IS NOT NULL AND announced_at IS NULL";
            world.number(waiting).await == Some(0)
        })
        .await;
}

/// Completed changes from an earlier version: ids in no order, completed one after the other, revokes and grants of
/// each user in turn.
async fn history(world: &World, rows: i32) {
    let insert = sqlx::query(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
         SELECT gen_random_uuid(), 'auth0|' || n % 50, 'music.editor', CASE n / 50 % 2 WHEN 0 THEN 'granted' ELSE 'revoked' END,
             100, '{\"role\": \"music.editor\"}', 0, now() + n * interval '1 microsecond', 'written'
         FROM generate_series(0, $1 - 1) AS n ORDER BY random()",
    );
    insert.bind(rows).execute(&world.db).await.expect("rows");
}

/// Ids of the audit in the order of announcement.
async fn ids_by_completion(world: &World) -> Vec<String> {
    let ids = world
        .rows("SELECT change_id FROM role_changes WHERE completed_at IS NOT NULL ORDER BY completed_at")
        .await;
    ids.iter()
        .map(|row| row["change_id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Kills the bus, and starts it again when changes wait for it.
async fn harm_bus(world: &World) {
    let mut nats = world.nats.lock().await;
    nats.kill().await.expect("killed");
    world
        .eventually("changes wait", async || {
            world.worker().metric("rolekeeper_unannounced_role_changes").await > 0.0
        })
        .await;
    nats.start_again().await.expect("it starts again");
}

/// Gives each user a playlist with 99 plays.
async fn below_the_threshold(world: &World, users: &[String]) {
    for (n, user) in users.iter().enumerate() {
        world.seed_user(user, &["mentor"]);
        let playlist = format!("pl_{n}");
        world.publish(&[saved(&format!("s{n}"), &playlist, user)]).await;
        world.publish(&plays(&format!("p{n}"), &playlist, 0..99)).await;
    }
}

/// Publishes one play for each of the playlists, or in odd waves takes one back.
async fn wave_of_events(world: &World, wave: u32, playlists: usize) {
    for n in 0..playlists {
        let playlist = format!("pl_{n}");
        let event = if wave.is_multiple_of(2) {
            plays(&format!("w{n}"), &playlist, wave..wave + 1)
        } else {
            let taken_back = format!("p{n}-{wave}");
            vec![retraction(&format!("r{n}-{wave}"), &taken_back, &playlist)]
        };
        world.publish(&event).await;
    }
}

/// Lets six waves of changes pass: in the second NATS is killed, in the last two the worker.
async fn waves_through_kills(world: &World, users: usize) {
    for wave in 0..6 {
        let before = world.patches();
        wave_of_events(world, wave, users).await;
        if wave >= 4 {
            told_more(world, 8, Duration::from_secs(5)).await;
            world.worker().kill9().await;
            world.start_worker().await;
            continue;
        }
        let some = async || world.patches() >= before + 8;
        world.eventually("some are written", some).await;
        if wave == 1 {
            harm_bus(world).await;
        }
        let all = async || world.patches() >= before + users;
        world.eventually("all are written", all).await;
    }
}

/// Checks that each message says what one row of the audit says, and that each completed row has one message.
async fn told_is_the_audit(world: &World, told: &[Told]) {
    let sql = "SELECT * FROM role_changes WHERE completed_at IS NOT NULL";
    let id = |row: &Value| row["change_id"].as_str().expect("an id").to_owned();
    let rows = world.rows(sql).await;
    let mut rows: BTreeMap<String, Value> = rows.into_iter().map(|row| (id(&row), row)).collect();
    for message in told {
        let payload = &message.payload;
        let row = rows.remove(&message.id).expect("a completed row, announced once");
        for field in [
            "change_id",
            "user_id",
            "role",
            "change",
            "plays",
            "rule",
            "event_id",
            "outcome",
        ] {
            assert_eq!(payload[field], row[field], "{field}");
        }
        let change = payload["change"].as_str().expect("text");
        assert_eq!(message.subject, format!("roles.playlist_editor.{change}"));
    }
    assert!(rows.is_empty(), "not announced: {rows:?}");
}

#[tokio::test]
async fn each_change_is_announced_once_through_kills() {
    // A short lease: the in-flight user of a killed worker is due again soon.
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    let users: Vec<String> = (0..30).map(|n| format!("auth0|u{n}")).collect();
    below_the_threshold(&world, &users).await;
    waves_through_kills(&world, users.len()).await;
    world.settled_within(Duration::from_mins(1)).await;
    all_told(&world).await;

    let told = told(&world).await;
    told_is_the_audit(&world, &told).await;
    let mut by_user: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for message in &told {
        let user = message.payload["user_id"].as_str().expect("text");
        by_user
            .entry(user)
            .or_default()
            .push(message.payload["change"] == "granted");
    }
    for user in &users {
        let seen = oracle::changes(&world.tenant, CLIENT, user);
        let seen: Vec<bool> = seen.iter().map(|change| change.granted).collect();
        assert_eq!(by_user.remove(user.as_str()).unwrap_or_default(), seen, "{user}");
    }
}

#[tokio::test]
async fn a_backlog_is_announced_once_without_duplicate_window() {
    let world = World::builder().workers(0).start().await;
    world
        .set_duplicate_window(STREAM, Duration::from_millis(100))
        .await;
    history(&world, 2_000).await;
    world.start_worker().await;
    for round in 0..8 {
        told_more(&world, 60, Duration::from_secs(20)).await;
        world.worker().kill9().await;
        if round == 4 {
            world.nats.lock().await.kill().await.expect("killed");
        }
        let worker = world.spawn_worker_with(&[]);
        if round == 4 {
            worker.address("OPS_LISTEN").await;
            world
                .nats
                .lock()
                .await
                .start_again()
                .await
                .expect("it starts again");
        }
    }
    all_told(&world).await;
    let told: Vec<String> = told(&world).await.into_iter().map(|told| told.id).collect();
    assert_eq!(told, ids_by_completion(&world).await);
}

#[tokio::test]
async fn a_worker_that_slept_announces_nothing_again() {
    let world = World::builder().workers(0).start().await;
    world
        .set_duplicate_window(STREAM, Duration::from_millis(100))
        .await;
    let only = [("ONLY", "reconcile")];
    let sleeper = world.start_worker_with(&only).await;
    // The session of the worker that holds the lock, and no other session, since the server is shared.
    let holder = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 3
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let cut =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND objid = 3
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    for _ in 0..3 {
        history(&world, 1_000).await;
        told_more(&world, 50, Duration::from_secs(20)).await;
        world
            .eventually("the sleeper freezes while it holds the lock", async || {
                if world.number(holder).await != Some(1) {
                    return false;
                }
                sleeper.sigstop();
                // Postgres would end the session of a frozen worker after 25 s.
                let frozen = world.number(cut).await == Some(1);
                if !frozen {
                    sleeper.sigcont();
                }
                frozen
            })
            .await;
        let other = world.start_worker_with(&only).await;
        told_more(&world, 50, Duration::from_secs(20)).await;
        sleeper.sigcont();
        told_more(&world, 200, Duration::from_secs(3)).await;
        other.kill9().await;
    }
    all_told(&world).await;
    let told: Vec<String> = told(&world).await.into_iter().map(|told| told.id).collect();
    assert_eq!(told, ids_by_completion(&world).await);
}

#[tokio::test]
async fn a_full_stream_makes_changes_wait() {
    let world = World::builder()
        .workers(0)
        .env("ROLE_CHANGES_MAX_MIB", 1)
        .start()
        .await;
    history(&world, 3_000).await;
    let worker = world.start_worker().await;
    let full = "announcing role changes: not stored by JetStream";
    world
        .eventually_within(ANNOUNCED_WITHIN, "the stream is full", async || {
            worker.messages().iter().any(|line| line.starts_with(full))
        })
        .await;
    assert!(worker.metric("rolekeeper_unannounced_role_changes").await > 0.0);
    assert!(worker.is_ready().await, "roles are written nevertheless");
    let migrate = world
        .command_with(&["migrate"], &[("ROLE_CHANGES_MAX_MIB", "16")])
        .await;
    assert!(migrate.status.success(), "{}", text(&migrate));
    all_told(&world).await;
    let told: Vec<String> = told(&world).await.into_iter().map(|told| told.id).collect();
    assert_eq!(told, ids_by_completion(&world).await);
}

#[tokio::test]
async fn what_is_only_decided_is_not_announced() {
    let world = World::builder().env("AUTH0_WRITES", "off").start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let shadow = "SELECT count(*) FROM role_changes WHERE outcome = 'shadow'";
    world
        .eventually("the decision is audited", async || {
            world.number(shadow).await == Some(1)
        })
        .await;
    world.worker().kill9().await;
    world.start_worker_with(&[("AUTH0_WRITES", "on")]).await;
    // No user is due until the new worker has started an attempt for every change that was only decided.
    world
        .eventually("the role is written", async || world.patches() == 1)
        .await;
    world.settled().await;
    all_told(&world).await;
    let told = told(&world).await;
    let outcomes: Vec<&Value> = told.iter().map(|told| &told.payload["outcome"]).collect();
    assert_eq!(outcomes, [&json!("written")]);
}

/// F44: bytes that the client library cannot parse: a Latin-1 header, a subject that is not UTF-8, a Unicode space or NUL in a subject:
/// one dead letter each; webhook, data API and the other fold notice nothing.
///
/// A message of another client, with headers that no library parses, stops no announcement.
#[tokio::test]
async fn f44_a_strange_message_at_the_end_stops_no_announcement() {
    let world = World::builder().workers(0).start().await;
    world.seed_user("auth0|ann", &[]);
    let strange = b"X-Name: caf\xe9\r\n";
    world.send_raw(b"roles.other.granted", strange, b"{}").await;
    world.start_worker().await;
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.settled().await;
    world
        .eventually("it is announced", async || count(&world).await == Some(2))
        .await;
}
