//! The behaviour of a worker when its connections to Postgres go silent, or lead to a server that only reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolekeeper::store::Store;
use rolekeeper_domain::ids::{Token, UserId};
use secrecy::SecretString;

use crate::world::data_api::DataApi;
use crate::world::events::{plays, saved};
use crate::world::{LOG_TOKEN, World};

/// Time from a healthy Postgres until every stage works again.
const AT_WORK_WITHIN: Duration = Duration::from_secs(40);

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
