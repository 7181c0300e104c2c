//! Erased users: no table has data of them, and nothing restores it.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::{Value, json};

use crate::world::erasure::{ANN, BOB, KEY, erase, lived_in, named, world};
use crate::world::events::{plays, saved};
use crate::world::{LOG_TOKEN, World, text};

const OTHER_KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

#[tokio::test]
async fn nothing_of_an_erased_person_is_left_or_comes_back() {
    let world = lived_in().await;
    let before = named(&world).await;
    for table in [
        "users",
        "playlists",
        "assignments",
        "role_changes",
        "profile_writes",
        "foreign_writes",
        "dead_letters",
    ] {
        assert!(
            before.contains_key(table),
            "{table} does not know her: {before:?}"
        );
    }
    let bobs = async || {
        world.rows("SELECT * FROM (SELECT user_id, role, has_role::text FROM assignments UNION ALL SELECT user_id, change, outcome FROM role_changes
             UNION ALL SELECT owner_id, playlist_id, plays::text FROM playlists UNION ALL SELECT user_id, fields::text, profile::text FROM users) AS t
             WHERE user_id = 'auth0|bob' ORDER BY 1, 2, 3").await
    };
    let bob = bobs().await;
    assert_eq!(bob.len(), 4);

    let said = text(&erase(&world).await);
    assert!(said.contains("erased;"), "{said}");
    assert_eq!(named(&world).await, BTreeMap::new());
    let calls = world.calls_of(ANN).len();
    let audit = "SELECT count(*) FROM role_changes WHERE user_id LIKE 'erased:%' AND length(user_id) = 71";
    assert_eq!(world.number(audit).await, Some(1), "the audit stays");

    // All messages that name her a second time, and plays of her former playlists.
    world.tenant.login(ANN).expect("a login");
    let mut late = vec![saved("late-1", "pl_ann", ANN), saved("late-2", "pl_new", ANN)];
    late.extend(plays("late", "pl_ann", 0..150));
    late.extend(plays("late-new", "pl_new", 0..3));
    world.publish(&late).await;
    world
        .tenant
        .edit_by_other_client("crm", ANN, json!({"app_metadata": {"roles": []}}))
        .expect("an edit");
    world.quiet().await;
    assert!(world.tenant.delete_user(ANN));
    world.quiet().await;
    world
        .tenant
        .create_user(ANN, json!({"email": "ann@example.com"}))
        .expect("a sign-up");
    world.quiet().await;
    assert_eq!(named(&world).await, BTreeMap::new());
    assert_eq!(world.calls_of(ANN).len(), calls, "no call is made for her");
    let worker = world.worker();
    let dropped = async |stream: &str| {
        worker
            .count(&format!("rolekeeper_erased_dropped_total{{stream=\"{stream}\"}}"))
            .await
    };
    assert_eq!(dropped("APP_EVENTS").await, Some(2));
    assert_eq!(
        dropped("AUTH0_LOGS").await,
        Some(5),
        "login, edit, deletion (two records), sign-up"
    );
    let playlists = "SELECT count(*) FROM playlists WHERE owner_id IS NULL AND name IS NULL
        AND ((playlist_id = 'pl_ann' AND deleted AND plays = 0) OR (playlist_id = 'pl_new' AND plays = 3))";
    assert_eq!(world.number(playlists).await, Some(2));

    // The same by a command.
    let adopted = world
        .command(&["adopt", "--role", "playlist_editor", "--user", ANN])
        .await;
    assert!(adopted.status.success(), "{}", text(&adopted));
    world.quiet().await;
    world
        .eventually("it is gone again", async || named(&world).await.is_empty())
        .await;
    assert_eq!(world.calls_of(ANN).len(), calls);

    // The next user who saves the playlist starts at 0, and all others continue as before.
    assert_eq!(bobs().await, bob);
    let mut next = vec![saved("next", "pl_ann", BOB)];
    next.extend(plays("next", "pl_ann", 0..5));
    world.publish(&next).await;
    world.quiet().await;
    let next = "SELECT plays FROM playlists WHERE playlist_id = 'pl_ann' AND NOT deleted";
    assert_eq!(world.number(next).await, Some(5));
    assert!(text(&erase(&world).await).contains("erased again"));
}

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
async fn who_is_erased_while_the_profile_is_read_stays_erased() {
    erased_during(Endpoint::ReadUser).await;
}

#[tokio::test]
async fn who_is_erased_while_the_role_is_written_stays_erased() {
    erased_during(Endpoint::PatchUser).await;
}

#[tokio::test]
async fn an_erasure_loses_messages_in_flight_of_her_alone() {
    let world = world().env("FOLD_BATCH", 50).start().await;
    for n in (1..50).step_by(2) {
        world.seed_user(&format!("auth0|u{n}"), &[]);
    }
    let record = |n: u32| {
        let user = if n.is_multiple_of(2) {
            ANN.to_owned()
        } else {
            format!("auth0|u{}", n % 50)
        };
        json!({"log_id": format!("id-{n}"), "data": {"type": "s", "log_id": format!("id-{n}"), "user_id": user,
            "date": "2026-11-23T10:00:00.000Z", "user_name": format!("{n}@example.com")}})
    };
    let erased = AtomicBool::new(false);
    let sending = async {
        let (mut rounds, mut afterwards) = (0, 0);
        while afterwards < 10 {
            afterwards += u32::from(erased.load(Ordering::Relaxed));
            let records: Vec<Value> = (rounds * 100..rounds * 100 + 100).map(record).collect();
            assert_eq!(
                world
                    .worker()
                    .post_logs(LOG_TOKEN, json!(records).to_string())
                    .await,
                Some(200)
            );
            let list = format!("pl_{rounds}");
            world.publish(&[saved(&format!("s-{rounds}"), &list, ANN)]).await;
            world.publish(&plays(&list, &list, 0..20)).await;
            rounds += 1;
        }
        rounds
    };
    let erasing = async {
        let known = "SELECT count(*) FROM playlists WHERE owner_id LIKE '%6132829445244d0069782a78'";
        world
            .eventually("she is known", async || world.number(known).await > Some(3))
            .await;
        erase(&world).await;
        erased.store(true, Ordering::Relaxed);
    };
    let (rounds, ()) = tokio::join!(sending, erasing);
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
async fn a_batch_under_way_ends_before_the_erasure() {
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
async fn a_change_that_was_not_announced_yet_is_announced_of_nobody() {
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

#[tokio::test]
async fn the_key_must_be_there_and_the_same() {
    let world = World::start().await;
    let erase = async |key: &str| world.command_with(&["erase", ANN], &[("ERASURE_KEY", key)]).await;
    let refused = |output: &Output, what: &str| {
        let said = text(output);
        assert!(
            !output.status.success() && said.contains("ERASURE_KEY") && said.contains(what),
            "{said}"
        );
        assert!(
            !said.contains(KEY) && !said.contains("dG9vLXNob3J0"),
            "a key is shown: {said}"
        );
    };
    refused(&world.command(&["erase", ANN]).await, "not set");
    refused(&erase("dG9vLXNob3J0").await, "32 bytes");
    assert_eq!(world.number("SELECT count(*) FROM erasures").await, Some(0));
    let odd = world
        .command_with(&["erase", "a\tb"], &[("ERASURE_KEY", KEY)])
        .await;
    assert!(
        !odd.status.success() && text(&odd).contains("control characters"),
        "{}",
        text(&odd)
    );

    // A worker that runs without the key stops folding messages that it cannot check, and reports it.
    let worker = world.worker();
    assert!(
        erase(KEY).await.status.success(),
        "an unknown user can be erased, too"
    );
    refused(&erase(OTHER_KEY).await, "not the key");
    let record = json!({"type": "s", "user_id": ANN, "date": "2026-11-23T10:00:00.000Z"}).to_string();
    assert_eq!(worker.post_logs(LOG_TOKEN, record).await, Some(200));
    world
        .eventually("the worker says what is missing", async || {
            let ready = worker.get("/readyz").await;
            ready.is_some_and(|(status, said)| status == 503 && said.contains("ERASURE_KEY: not set"))
        })
        .await;
    assert_eq!(named(&world).await, BTreeMap::new());

    for (key, what) in [
        ("", "ERASURE_KEY: not set"),
        (OTHER_KEY, "ERASURE_KEY: not the key"),
    ] {
        let refused = world.spawn_worker_with(&[("ERASURE_KEY", key)]);
        assert!(!refused.wait(Duration::from_secs(20)).await.success());
        assert!(refused.log().contains(what), "{}", refused.log_tail(20));
    }
    worker.kill9().await;
    world.start_worker_with(&[("ERASURE_KEY", KEY)]).await;
    world.quiet().await;
    assert_eq!(named(&world).await, BTreeMap::new());
}

#[tokio::test]
async fn a_person_can_see_what_is_kept() {
    let world = lived_in().await;
    let export = async |user: &str| world.command(&["export", user]).await;
    let output = export(ANN).await;
    assert!(output.status.success(), "{}", text(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    assert_eq!(shown["user_id"], ANN);
    let tables = shown["tables"].as_object().expect("tables");
    let counts: BTreeMap<String, i64> = tables
        .iter()
        .map(|(table, rows)| {
            (
                table.clone(),
                rows.as_array().map_or(-1, |rows| rows.len().cast_signed() as i64),
            )
        })
        .collect();
    assert_eq!(
        counts,
        named(&world).await,
        "every row that names her, and no other"
    );
    assert_eq!(
        shown["tables"]["users"][0]["fields"]["email"]["value"],
        "pl_ann@example.com"
    );
    assert_eq!(shown["tables"]["playlists"][0]["plays"], 100);
    let letters = shown["tables"]["dead_letters"].to_string();
    assert!(letters.contains("xxxx"), "{letters}");

    let unknown = export("auth0|unknown").await;
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(1), 0));
    assert!(text(&unknown).contains("auth0|unknown: nothing is kept"));
}
