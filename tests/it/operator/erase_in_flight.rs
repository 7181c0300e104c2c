//! An erasure beside work in flight: calls, batches of a fold, changes that are not announced yet.
//!
//! F29: a user is erased while events are in flight; a deleted user signs up again under the same id: an erased user never comes back,
//! late events are dropped and counted; a deleted one comes back when Auth0 knows the id again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::{Value, json};

use crate::world::erasure::{ANN, BOB, erase, named, world};
use crate::world::events::{plays, saved};
use crate::world::{LOG_TOKEN, World};

/// Erases Ann while a call for her is in flight, lets it end, and checks the result.
async fn erased_during(endpoint: Endpoint) {
    let world = world().env("AUTH0_TIMEOUT_S", 20).start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    let slow = CallMatch::to(endpoint).user(ANN);
    world
        .tenant
        .fault_once(slow, Fault::DelayedAnswer(Duration::from_secs(2)));
    world.earn(ANN, "pl_1").await;
    let calls = async || {
        world
            .calls_of(ANN)
            .iter()
            .filter(|call| call.endpoint == endpoint)
            .count()
    };
    let leased = if endpoint == Endpoint::PatchUser {
        "SELECT count(*) FROM role_changes WHERE attempted_at IS NOT NULL"
    } else {
        "SELECT count(*) FROM work_queue WHERE lease IS NOT NULL"
    };
    world
        .eventually("the call is in flight", async || {
            world.number(leased).await == Some(1)
        })
        .await;
    erase(&world).await;
    assert_eq!(named(&world).await, BTreeMap::new());
    // Bob's attempt comes after hers: with one attempt at a time, hers has ended then.
    world
        .eventually("the call had a response", async || calls().await == 1)
        .await;
    world.seed_user(BOB, &[]);
    world.earn(BOB, "pl_2").await;
    world
        .eventually("others continue", async || {
            world.roles(BOB) == ["playlist_editor"]
        })
        .await;
    assert_eq!(
        world.worker().sigterm(Duration::from_secs(30)).await.code(),
        Some(0),
        "a stop waits for the attempt in flight"
    );
    assert_eq!(named(&world).await, BTreeMap::new());
    world.start_worker().await;
    world.quiet().await;
    assert_eq!(named(&world).await, BTreeMap::new());
}

#[tokio::test]
async fn f29_who_is_erased_while_the_profile_is_read_stays_erased() {
    erased_during(Endpoint::ReadUser).await;
}

#[tokio::test]
async fn f29_who_is_erased_while_the_role_is_written_stays_erased() {
    erased_during(Endpoint::PatchUser).await;
}

/// A login of one user of many; every second one is Ann.
fn login(n: u32) -> Value {
    let user = if n.is_multiple_of(2) {
        ANN.to_owned()
    } else {
        format!("auth0|u{}", n % 50)
    };
    json!({"log_id": format!("id-{n}"), "data": {"type": "s", "log_id": format!("id-{n}"), "user_id": user,
        "date": "2026-11-23T10:00:00.000Z", "user_name": format!("{n}@example.com")}})
}

/// Sends logins, and a playlist of Ann a round, until ten rounds after the erasure; returns the number of rounds.
async fn sent_until(world: &World, erased: &AtomicBool) -> u32 {
    let (mut rounds, mut afterwards) = (0, 0);
    while afterwards < 10 {
        afterwards += u32::from(erased.load(Ordering::Relaxed));
        let records: Vec<Value> = (rounds * 100..rounds * 100 + 100).map(login).collect();
        let worker = world.worker();
        let posted = worker.post_logs(LOG_TOKEN, json!(records).to_string()).await;
        assert_eq!(posted, Some(200));
        let list = format!("pl_{rounds}");
        world.publish(&[saved(&format!("s-{rounds}"), &list, ANN)]).await;
        world.publish(&plays(&list, &list, 0..20)).await;
        rounds += 1;
    }
    rounds
}

#[tokio::test]
async fn f29_an_erasure_loses_messages_in_flight_of_her_alone() {
    let world = world().env("FOLD_BATCH", 50).start().await;
    for n in (1..50).step_by(2) {
        world.seed_user(&format!("auth0|u{n}"), &[]);
    }
    let erased = AtomicBool::new(false);
    let erasing = async {
        let known = "SELECT count(*) FROM playlists WHERE owner_id LIKE '%6132829445244d0069782a78'";
        world
            .eventually("she is known", async || world.number(known).await > Some(3))
            .await;
        erase(&world).await;
        erased.store(true, Ordering::Relaxed);
    };
    let (rounds, ()) = tokio::join!(sent_until(&world, &erased), erasing);
    world.quiet().await;
    assert_eq!(named(&world).await, BTreeMap::new());
    assert_eq!(
        world.number("SELECT count(*) FROM users").await,
        Some(25),
        "the others"
    );
    assert_eq!(
        world.number("SELECT count(*) FROM playlists").await,
        Some(i64::from(rounds))
    );
    let dropped = world
        .worker()
        .count("rolekeeper_erased_dropped_total{stream=\"APP_EVENTS\"}")
        .await;
    assert!(dropped >= Some(10), "{dropped:?}");
}

#[tokio::test]
async fn f29_a_batch_under_way_ends_before_the_erasure() {
    let world = world().env("ONLY", "http,fold").start().await;
    // The batch has read which users are erased, and now waits for this lock to enqueue the second of its users.
    let mut other = world.db.begin().await.expect("Postgres responds");
    let queue = "INSERT INTO work_queue (user_id, priority) VALUES ('auth0|bob', 2)";
    sqlx::query(queue)
        .execute(&mut *other)
        .await
        .expect("Postgres responds");
    let record = |id: &str, user: &str| json!({"type": "s", "log_id": id, "user_id": user, "date": "2026-11-23T10:00:00.000Z"});
    let both = json!([record("1", ANN), record("2", BOB)]).to_string();
    assert_eq!(world.worker().post_logs(LOG_TOKEN, both).await, Some(200));
    let waits = async |query: &'static str| world.number(query).await == Some(1);
    let batch = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND query LIKE '%INSERT INTO work_queue%'";
    world
        .eventually("the batch waits", async || waits(batch).await)
        .await;
    let erasing = async {
        erase(&world).await;
        assert_eq!(named(&world).await, BTreeMap::new());
    };
    let letting_go = async {
        let erasure = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND query LIKE 'LOCK TABLE stream_cursors%'";
        world
            .eventually("the erasure waits for it", async || waits(erasure).await)
            .await;
        other.rollback().await.expect("Postgres responds");
    };
    tokio::join!(erasing, letting_go);
    assert_eq!(
        world.number("SELECT count(*) FROM work_queue").await,
        Some(1),
        "the other"
    );
}

#[tokio::test]
async fn f29_a_change_not_announced_yet_is_announced_of_nobody() {
    let world = world().workers(0).start().await;
    let rows = format!(
        "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
         SELECT gen_random_uuid(), who, 'music.editor', 'granted', 100, '{{}}', 0, now(), 'written'
         FROM UNNEST(ARRAY['{ANN}', '{BOB}']) AS who"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    erase(&world).await;
    world.start_worker().await;
    let waiting = "SELECT count(*) FROM role_changes WHERE announced_at IS NULL";
    world
        .eventually("both are announced", async || {
            world.number(waiting).await == Some(0)
        })
        .await;
    let stream = world.jetstream.get_stream("ROLE_CHANGES").await.expect("there");
    let mut users = Vec::new();
    for seq in 1..=2 {
        let message = stream.get_raw_message(seq).await.expect("stored");
        let change: Value = serde_json::from_slice(&message.payload).expect("JSON");
        users.push(change["user_id"].as_str().unwrap_or_default().to_owned());
    }
    users.sort();
    assert_eq!(users[0], BOB);
    assert!(users[1].starts_with("erased:"), "{users:?}");
}
