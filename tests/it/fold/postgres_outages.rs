//! The behaviour of the fold while Postgres is away, slow, or drops connections.

use std::time::Duration;

use rolekeeper_sandbox::servers::PostgresStop;

use super::outages::story;
use crate::world::events::{Sent, play};
use crate::world::{Worker, World, poll};

/// The log reports the wait at intervals, not at every attempt.
fn waited_quietly(worker: &Worker) {
    let messages = worker.messages();
    let waits = messages
        .iter()
        .filter(|line| line.ends_with("; retrying"))
        .count();
    assert!((1..30).contains(&waits), "reported the wait {waits} times");
}

/// F9: Postgres is down; connections are cut; it fails over; only reads; its disk is full; statements time out; the
/// pool is exhausted: nothing is lost, no busy loop, the worker continues by itself. Here it stops in every possible
/// way, while events arrive.
#[tokio::test]
async fn f09_postgres_may_stop_crash_and_drop_everybody() {
    let world = World::builder()
        .own_postgres()
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    world.seed_user("auth0|ann", &[]);
    let worker = world.worker();
    for (way, part) in story(3).iter().enumerate() {
        let mut postgres = world.postgres().await;
        match way {
            0 => postgres.stop(PostgresStop::Fast).await.unwrap(),
            1 => postgres.stop(PostgresStop::Immediate).await.unwrap(),
            _ => postgres.kill().await.unwrap(),
        }
        world.publish(part).await;
        let health = async |path: &str| worker.get(path).await.map(|(status, _)| status);
        world
            .eventually("it is not ready", async || health("/readyz").await == Some(503))
            .await;
        assert_eq!(health("/healthz").await, Some(200));
        assert_eq!(worker.count("rolekeeper_database_up").await, Some(0));
        postgres.start_again().await.unwrap();
        drop(postgres);
        world
            .eventually("it is ready again", async || worker.is_ready().await)
            .await;
    }
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    waited_quietly(&worker);
}

/// Postgres only reads for a while, as after a failover without a promotion yet.
#[tokio::test]
async fn f09_a_postgres_that_only_reads_is_waited_for() {
    let world = World::builder()
        .own_postgres()
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    world.seed_user("auth0|ann", &[]);
    let worker = world.worker();
    let parts = story(2);
    world.publish(&parts[0]).await;
    world.settled().await;
    let only_reads = async |setting: &'static str| {
        for statement in [setting, "SELECT pg_reload_conf()"] {
            sqlx::raw_sql(statement).execute(&world.db).await.unwrap();
        }
    };
    only_reads("ALTER SYSTEM SET default_transaction_read_only = on").await;
    world.publish(&parts[1]).await;
    let says = async |path: &str| worker.get(path).await.map(|(status, _)| status);
    world
        .eventually("it is not ready", async || says("/readyz").await == Some(503))
        .await;
    assert_eq!(says("/healthz").await, Some(200));
    only_reads("ALTER SYSTEM RESET default_transaction_read_only").await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    waited_quietly(&worker);
}

/// Sessions are ended in waves, also inside transactions.
#[tokio::test]
async fn f09_connections_to_postgres_may_be_cut_in_waves() {
    let world = World::builder()
        .postgres_proxy()
        .env("FOLD_BATCH", 20)
        .env("AUTH0_TIMEOUT_S", 1)
        .start()
        .await;
    let many: Vec<Sent> = (0..6_000)
        .map(|n| play(&format!("n{n}"), &format!("pl_{}", n % 500)))
        .collect();
    let further = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    for some in many.chunks(1_000) {
        let before = world.number(further).await;
        world.publish(some).await;
        world
            .eventually("the fold continues", async || {
                world.number(further).await > before
            })
            .await;
        world.postgres_proxy().cut();
    }
    world.postgres_proxy().refuse();
    let worker = world.worker();
    world
        .eventually("it is not ready", async || !worker.is_ready().await)
        .await;
    world.postgres_proxy().restore();
    world.settled().await;
}

/// F10: Postgres is slow: 5 s a statement: memory stays bounded, and nothing counts twice. Events of 60 MB wait.
#[tokio::test]
async fn f10_a_slow_postgres_does_not_fill_the_memory() {
    let world = World::builder()
        .postgres_proxy()
        .env("FOLD_BATCH", 500)
        .env("ONLY", "fold")
        .start()
        .await;
    let worker = world.worker();
    let cursor = async || {
        world
            .number("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'")
            .await
    };
    let padding = "x".repeat(3_000);
    let large = |n: u32| play(&format!("n{n}"), &format!("pl_{}", n % 50)).with("padding", padding.as_str());
    world.publish(&(0..500).map(large).collect::<Vec<_>>()).await;
    world.settled().await;
    let before_mib = worker.peak_memory_mib();
    world.postgres_proxy().delay(Duration::from_secs(5));
    world.publish(&(500..20_500).map(large).collect::<Vec<_>>()).await;
    let begun = cursor().await;
    let moved = poll(Duration::from_secs(75), async || {
        (cursor().await > begun).then_some(())
    })
    .await;
    assert!(moved.is_some(), "a slow Postgres is not a dead one");
    world.postgres_proxy().restore();
    world.settled().await;
    let grown_mib = worker.peak_memory_mib() - before_mib;
    println!("grew by {grown_mib} MiB");
    assert!(grown_mib < 30, "grew by {grown_mib} MiB while 60 MB waited");
}
