//! Bases: when they are made, and how long they hold the stream.

use std::time::Duration;

use super::{counts, world};
use crate::world::events::{large, plays, saved};
use crate::world::losses::stop;
use crate::world::{ANN, APP_EVENTS};

/// No base can be made any more.
const REFUSE: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'of the test'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON playlist_bases FOR EACH ROW EXECUTE FUNCTION refuse()";
const TRIMMED: &str = "rolekeeper_stream_trimmed_messages_total{stream=\"APP_EVENTS\"}";

#[tokio::test]
async fn one_base_an_hour_is_replaced() {
    let world = world().start().await;
    world.based().await;
    world.played("ann", 10).await;
    world.settled().await;
    let later = "SELECT count(*) FROM playlist_bases WHERE last_seq = 11";
    let hour = "UPDATE playlist_bases SET made_at = made_at - interval '61 minutes'";
    for replaced in 1..=3 {
        world.run_sql(hour).await;
        world.count_is("one base is replaced", later, replaced).await;
    }
    // The rows of a base that is replaced are those of the cursor.
    world.based_again().await;
    assert_eq!(
        world.number("SELECT plays FROM playlist_base_counts").await,
        Some(10)
    );
    assert_eq!(world.number(later).await, Some(64));
    assert_eq!(counts(&world).await["messages"], 0);
}

#[tokio::test]
async fn the_stream_is_not_trimmed_past_the_oldest_base() {
    let world = world()
        .workers(0)
        .env("KEEP_FOLDED", "0s")
        .env("TRIM_MARGIN", "0s")
        .start()
        .await;
    world
        .set_duplicate_window(APP_EVENTS, Duration::from_millis(100))
        .await;
    let worker = world.start_worker().await;
    world.publish(&plays("early", "pl_1", 0..10)).await;
    world.folded().await;
    world.based().await;
    world
        .eventually("it is trimmed", async || world.kept_events().await.0 == 10)
        .await;
    world.run_sql(REFUSE).await;
    world.publish(&plays("late", "pl_1", 0..30)).await;
    world.folded().await;
    let oldest = "SELECT min(last_seq) FROM playlist_bases";
    let oldest = world.number(oldest).await.expect("bases").unsigned_abs();
    let log = async || {
        worker
            .log_tail(400)
            .contains("the base of a partition for `rolekeeper verify` was not made")
    };
    world
        .eventually("the worker says that bases are not made", log)
        .await;
    assert!(world.kept_events().await.0 <= oldest + 1);
    assert_eq!(counts(&world).await["differing"], 0);
    world.run_sql("DROP TRIGGER refuse ON playlist_bases").await;
    world
        .eventually("bases are made, and it is trimmed", async || {
            world.kept_events().await.0 == 40
        })
        .await;
}

/// The room is needed more than the bases are.
#[tokio::test]
async fn a_base_that_cannot_be_replaced_refuses_no_publisher() {
    let world = world()
        .workers(0)
        .env("APP_EVENTS_MAX_MIB", 1)
        .env("TRIM_MARGIN", "0s")
        .start()
        .await;
    world
        .set_duplicate_window(APP_EVENTS, Duration::from_millis(100))
        .await;
    let worker = world.start_worker().await;
    world.publish(&[saved("s", "pl_1", ANN)]).await;
    world.folded().await;
    world.based().await;
    world.run_sql(REFUSE).await;
    for event in large("n", 0..400) {
        world.publish(&[event]).await;
    }
    assert!(worker.metric(TRIMMED).await > 100.0);
    assert_eq!(world.number("SELECT count(*) FROM playlist_bases").await, Some(0));
    assert!(
        worker
            .log_tail(4_000)
            .contains("because they held messages whose room is needed")
    );
    world.run_sql("DROP TRIGGER refuse ON playlist_bases").await;
    world.settled().await;
}

/// The copies would take the place of the fold's writes.
#[tokio::test]
async fn a_fold_that_is_behind_waits_for_one_base_a_round() {
    let world = world().workers(0).env("TRIM_FLOOR", "15s").start().await;
    let plays = plays("late", "pl_1", 0..12_000);
    for some in plays.chunks(1_000) {
        world.publish(some).await;
    }
    let mut other = world.db.begin().await.unwrap();
    let lock = sqlx::raw_sql("LOCK TABLE playlists IN SHARE MODE");
    lock.execute(&mut *other).await.unwrap();
    world.start_worker().await;
    let bases = async || world.number("SELECT count(*) FROM playlist_bases").await >= Some(3);
    world.eventually("three bases are made", bases).await;
    let shortest = "SELECT (1000 * min(gap))::bigint FROM (
            SELECT extract(epoch FROM made_at - lag(made_at) OVER (ORDER BY made_at)) AS gap FROM playlist_bases) AS gaps";
    let shortest = world.number(shortest).await.expect("several bases");
    assert!(shortest > 900, "{shortest} ms between two bases");
    other.commit().await.unwrap();
    world.settled().await;
    world.based().await;
}

#[tokio::test]
async fn a_cursor_that_the_operator_set_ends_all_bases() {
    let world = world().start().await;
    world.based().await;
    world.played("ann", 5).await;
    world.settled().await;
    stop(&world).await;
    world.run_sql("UPDATE stream_cursors SET epoch = epoch + 1").await;
    let found = counts(&world).await;
    assert_eq!(
        (
            &found["partitions"],
            found["not_checked"].as_array().map(Vec::len)
        ),
        (&0.into(), Some(64))
    );
    world.start_worker().await;
    world.based().await;
    assert_eq!(counts(&world).await["differing"], 0);
}
