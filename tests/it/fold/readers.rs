//! The server's resources that a fold's reader uses, and releases.

use futures_util::TryStreamExt as _;
use rolekeeper_sandbox::servers::NatsOptions;

use crate::world::events::{Sent, play, plays, poison, saved};
use crate::world::{APP_EVENTS, World};

const RESTARTS: &str = "rolekeeper_reader_restarts_total{stream=\"APP_EVENTS\"}";

async fn consumers(world: &World) -> usize {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.unwrap();
    let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
    names.len()
}

/// A Postgres that is full at each move of a cursor, with a count of these failures.
const FULL: &str = "
    CREATE SEQUENCE tries;

    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER full_disk BEFORE UPDATE ON stream_cursors FOR EACH ROW EXECUTE FUNCTION full_disk()";

#[tokio::test]
async fn case_25_terms_leave_no_consumer_behind() {
    let world = World::start().await;
    world.publish(&[play("first", "pl_1")]).await;
    world.settled().await;
    sqlx::raw_sql(FULL).execute(&world.db).await.unwrap();
    world.publish(&[play("second", "pl_1")]).await;
    world
        .eventually("five leaderships have ended", async || {
            world.number("SELECT last_value FROM tries").await >= Some(5)
        })
        .await;
    let left = consumers(&world).await;
    assert!(left <= 1, "{left} consumers");
    let corrected = "DROP TRIGGER full_disk ON stream_cursors";
    sqlx::raw_sql(corrected).execute(&world.db).await.unwrap();
    world.settled().await;
    world.worker().sigterm(std::time::Duration::from_secs(20)).await;
    assert_eq!(consumers(&world).await, 0);
}

#[tokio::test]
async fn fold_9_a_limit_of_pull_requests_is_learnt() {
    let nats = NatsOptions {
        max_request_batch: Some(500),
        ..NatsOptions::default()
    };
    let world = World::builder().nats(nats).start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..3_000)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    let restarts = world.worker().count(RESTARTS).await;
    assert!(restarts <= Some(3), "{restarts:?} restarts");
    assert_eq!(consumers(&world).await, 1);
}

#[tokio::test]
async fn a10_large_messages_are_pulled_by_their_bytes() {
    let world = World::builder().workers(0).start().await;
    let large = vec![b' '; 900_000];
    let poisons: Vec<Sent> = (0..200)
        .map(|n| poison(&format!("p{n}"), "pl_1", large.clone(), "oversized"))
        .collect();
    // Not all at once: the server accepts 64 MiB of unread responses and requests.
    for some in poisons.chunks(20) {
        world.publish(some).await;
    }
    let worker = world.start_worker().await;
    world.settled().await;
    assert_eq!(worker.count(RESTARTS).await, Some(0));
    let peak = worker.peak_memory_mib();
    assert!(peak < 150, "{peak} MiB at the peak, with 180 MB in the stream");
}
