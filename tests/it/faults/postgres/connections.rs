//! The behaviour of a worker when its connections to Postgres go silent, or lead to a server that only reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolekeeper::store::Store;
use rolekeeper_domain::ids::{Token, UserId};
use secrecy::SecretString;

use crate::world::data_api::DataApi;
use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{LOG_TOKEN, World};

/// Time from a healthy Postgres until every stage works again.
const AT_WORK_WITHIN: Duration = Duration::from_secs(40);
/// The same where Postgres accepts writes on new sessions.
const WRITES_WITHIN: Duration = Duration::from_secs(5);

/// F41: Postgres, or the network to it, goes silent without closing: under fold, leader, announce, data API, standby: each stage is at
/// work again within 40 s of a healthy Postgres; not ready meanwhile.
///
/// The fold, the active reconciler, the announcer and the standby are all cut off without a reset; new connections
/// pass.
#[tokio::test]
async fn f41_a_silent_postgres_is_left_within_40_s() {
    let world = World::builder().postgres_proxy().workers(2).start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.settled().await;

    world.postgres_proxy().go_silent();
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let unready = async || {
        let both = world.workers();
        !both[0].is_ready().await || !both[1].is_ready().await
    };
    world.eventually("a worker is not ready", unready).await;
    world.settled_within(AT_WORK_WITHIN).await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually_within(AT_WORK_WITHIN, "the change is announced", async || {
            world.number(announced).await == Some(1)
        })
        .await;
}

/// The webhook needs only NATS; the data API returns within the time, and so do the effects of the records.
#[tokio::test]
async fn f41_a_silent_postgres_is_no_matter_to_the_webhook() {
    let api = DataApi::start_in(World::builder().postgres_proxy(), &[]).await;
    let user = "auth0|ann";
    assert_eq!(api.get(user, "/songs").await.status, 200);
    api.world.postgres_proxy().go_silent();
    let done = AtomicBool::new(false);
    let post = async {
        for number in 0.. {
            let record = format!(r#"{{"log_id":"l{number}","data":{{"type":"fp","log_id":"l{number}"}}}}"#);
            assert_eq!(api.worker.post_logs(LOG_TOKEN, record).await, Some(200));
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
    };
    let serves = async || api.get(user, "/songs").await.status == 200;
    let ask = async {
        api.world
            .eventually_within(AT_WORK_WITHIN, "the API is at work", serves)
            .await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(post, ask);
    api.world.settled_within(AT_WORK_WITHIN).await;
}

/// Postgres is frozen: it closes nothing, and new connections are silent too.
#[tokio::test]
async fn f41_no_worker_is_ready_until_postgres_responds_again() {
    let builder = World::builder().postgres_proxy().workers(2);
    let api = DataApi::start_in(builder, &[]).await;
    let (world, user) = (&api.world, "auth0|ann");
    world.seed_user(user, &[]);
    world.publish(&[saved("s1", "pl_1", user)]).await;
    assert_eq!(api.get(user, "/songs").await.status, 200);
    world.settled().await;

    world.postgres_proxy().freeze();
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let workers = &world.workers()[..2];
    let unready = async || !workers[0].is_ready().await && !workers[1].is_ready().await;
    world
        .eventually_within(AT_WORK_WITHIN, "neither worker is ready", unready)
        .await;
    assert_eq!(api.get(user, "/songs").await.status, 503);
    world.postgres_proxy().restore();
    let at_work = async || {
        let stages = workers[0].is_ready().await && workers[1].is_ready().await;
        let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
        stages && api.get(user, "/songs").await.status == 200 && world.number(announced).await == Some(1)
    };
    world
        .eventually_within(AT_WORK_WITHIN, "every stage is at work", at_work)
        .await;
    world.settled().await;
    assert_eq!(world.roles(user), ["playlist_editor"]);
}

/// F42: sessions that exist turn read-only, new ones are writable: at work again within 5 s, without flapping.
///
/// Existing sessions only read, as those of a demoted primary do; new ones write.
#[tokio::test]
async fn f42_sessions_that_only_read_are_replaced() {
    let world = World::builder().own_postgres().postgres_proxy().start().await;
    let users: Vec<String> = (0..20).map(|number| format!("auth0|u{number}")).collect();
    for (number, user) in users.iter().enumerate() {
        world.seed_user(user, &[]);
        world
            .publish(&[saved(&format!("s{number}"), &format!("pl_{number}"), user)])
            .await;
    }
    world.settled().await;
    let set = async |sql: &'static str| {
        let name: String = sqlx::query_scalar("SELECT current_database()")
            .fetch_one(&world.db)
            .await
            .unwrap();
        let sql = sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} {sql}"));
        sqlx::raw_sql(sql).execute(&world.db).await.unwrap();
    };
    set("SET default_transaction_read_only = on").await;
    world.postgres_proxy().cut();
    for number in 0..users.len() {
        let playlist = format!("pl_{number}");
        world.publish(&plays(&playlist, &playlist, 0..100)).await;
    }
    let worker = world.worker();
    world
        .eventually("it meets a server that only reads", async || {
            worker.log().contains("read-only transaction")
        })
        .await;
    set("RESET default_transaction_read_only").await;
    world.settled_within(Duration::from_secs(15)).await;
    assert!(users.iter().all(|user| world.roles(user) == ["playlist_editor"]));
    world
        .eventually("it is ready", async || worker.is_ready().await)
        .await;
}

/// Postgres makes its present sessions read-only, and none that begins later.
#[tokio::test]
async fn f42_a_worker_is_at_work_again_within_5_s() {
    let world = World::builder().own_postgres().start().await;
    let worker = world.worker();
    for name in ["ann", "bob"] {
        world.played(name, 99).await;
    }
    world.settled().await;
    let later = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = off', current_database()); END $$";
    world.run_sql(later).await;
    world
        .run_sql("ALTER SYSTEM SET default_transaction_read_only = on")
        .await;
    world.run_sql("SELECT pg_reload_conf()").await;

    world.publish(&plays("more", "pl_ann", 0..1)).await;
    let at_work = async || world.has("ann", ROLE) && worker.is_ready().await;
    world
        .eventually_within(WRITES_WITHIN, "the worker writes again", at_work)
        .await;
    assert!(
        worker.log().contains("read-only transaction"),
        "{}",
        worker.log_tail(20)
    );
    let mut ready = true;
    world.publish(&plays("more", "pl_bob", 1..2)).await;
    let done = async || {
        ready &= worker.is_ready().await;
        world.has("bob", ROLE) && world.is_quiet().await
    };
    world.eventually("bob has the role too", done).await;
    assert!(ready, "it stays ready:\n{}", worker.log_tail(20));
    world.settled().await;
}

/// F43: clients of the data API hang up at any moment of a request: no connection is left in a transaction, no acknowledged write is
/// lost.
///
/// A caller that is cancelled at any moment of a transaction leaves no connection inside one, where later writes are
/// lost.
#[tokio::test]
async fn f43_a_caller_that_lets_go_leaves_no_transaction() {
    let world = World::builder().workers(0).postgres_proxy().start().await;
    world.postgres_proxy().delay(Duration::from_millis(1));
    let url = SecretString::from(world.setting("DATABASE_URL"));
    let store = Store::new(&url, &url).unwrap();
    let user = UserId::parse("auth0|ann").unwrap();
    sqlx::raw_sql("INSERT INTO songs (song_id, user_id, songname) SELECT 's_' || n, 'auth0|ann', 'x' FROM generate_series(1, 40) AS n")
        .execute(&world.db)
        .await
        .unwrap();
    for n in 0..120 {
        let genre = store.choose_genre(&user, "rock");
        let _ = tokio::time::timeout(Duration::from_micros(n * 100), genre).await;
    }
    for n in 1..=40 {
        let song = format!("s_{n}");
        assert!(
            store
                .remove_song(&user, &Token::parse(&song).unwrap())
                .await
                .unwrap()
        );
    }
    assert_eq!(world.number("SELECT count(*) FROM songs").await, Some(0));
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in tr%'";
    world
        .eventually("no session is inside a transaction", async || {
            world.number(open).await == Some(0)
        })
        .await;
}
