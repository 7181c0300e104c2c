//! F52: a stream kept nearly full for ten times its size: publishers are never refused while the fold keeps up and the stream holds at
//! least the trim floor at that rate; nothing that is not folded is removed; a repeat inside the duplicate window counts once, also after
//! a restart of the server.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures_util::StreamExt as _;

use crate::world::events::{large, play, plays, saved};
use crate::world::{APP_EVENTS, Builder, World};

const MIB: u64 = 1 << 20;
const FULL: &str = "rolekeeper_stream_full{stream=\"APP_EVENTS\"}";
const TRIMMED: &str = "rolekeeper_stream_trimmed_messages_total{stream=\"APP_EVENTS\"}";
const FORECAST: &str = "rolekeeper_stream_full_in_seconds{stream=\"APP_EVENTS\"}";

/// A stream of one MiB, and a worker with a short delay before it trims.
fn small() -> Builder {
    World::builder()
        .workers(0)
        .env("APP_EVENTS_MAX_MIB", 1)
        .env("TRIM_FLOOR", "300ms")
        .env("TRIM_MARGIN", "0s")
}

/// Publishes until the stream refuses; returns the number of stored messages.
async fn fill(world: &World, name: &str) -> u32 {
    for (n, event) in (0..).zip(large(name, 0..400)) {
        match world.try_publish(&event).await.expect("connected").await {
            Ok(ack) => world.oracle().stored(ack.sequence, event),
            Err(_) => return n,
        }
    }
    panic!("1 MiB does not hold 1.6 MB")
}

#[tokio::test]
async fn f52_a_stream_kept_nearly_full_refuses_no_one() {
    let world = small().start().await;
    world
        .set_duplicate_window(APP_EVENTS, Duration::from_millis(200))
        .await;
    let worker = world.start_worker().await;
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    let mut published = 0;
    while published < 10 * MIB {
        let (_, bytes) = world.kept_events().await;
        // Kept at nine tenths: the next eight are as much as a thirtieth.
        if bytes > MIB * 9 / 10 - 8 * 4_300 {
            tokio::task::yield_now().await;
            continue;
        }
        let n = u32::try_from(published / 4_300).unwrap();
        for event in large("n", n..n + 8) {
            let ack = world.try_publish(&event).await.expect("connected").await;
            world.oracle().stored(ack.expect("never refused").sequence, event);
            published += 4_300;
        }
    }
    world.settled().await;
    assert!(worker.metric(TRIMMED).await > 1_900.0);
    assert_eq!(worker.count(FULL).await, Some(0));
    assert_eq!(world.number("SELECT count(*) FROM stream_losses").await, Some(0));
    // The cursor's own message stays, also when all messages are old: a new worker continues from it.
    assert!(worker.sigterm(Duration::from_secs(20)).await.success());
    world.start_worker_with(&[("KEEP_FOLDED", "0s")]).await;
    let last = world
        .number("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'")
        .await;
    let only_last = async || Some(world.kept_events().await.0.cast_signed()) == last;
    world
        .eventually("all but the cursor's own is gone", only_last)
        .await;
    world.publish(&plays("after", "pl_1", 0..5)).await;
    world.settled().await;
}

#[tokio::test]
async fn f52_what_the_duplicate_window_needs_stays_though_full() {
    let world = small().env("KEEP_FOLDED", "0s").start().await;
    let worker = world.start_worker().await;
    let taken = fill(&world, "n").await;
    world
        .eventually("the metric shows it", async || {
            worker.count(FULL).await == Some(1)
        })
        .await;
    world.settled().await;
    assert_eq!(world.kept_events().await.0, 1);
    assert_eq!(worker.count(TRIMMED).await, Some(0));
    // The server rebuilds its table of ids from the stored messages.
    world.nats.lock().await.kill().await.expect("nats-server ends");
    world
        .nats
        .lock()
        .await
        .start_again()
        .await
        .expect("nats-server starts");
    let repeat = &large("n", 0..1)[0];
    let again = async || {
        let ack = world.try_publish(repeat).await.ok()?.await.ok()?;
        Some((ack.duplicate, ack.sequence))
    };
    let ack = crate::world::poll(Duration::from_secs(10), again).await;
    assert_eq!(ack, Some((true, 1)), "{taken} were taken");
}

#[tokio::test]
async fn f52_what_is_not_folded_stays_though_full() {
    let world = small().env("KEEP_FOLDED", "0s").start().await;
    world
        .set_duplicate_window(APP_EVENTS, Duration::from_millis(100))
        .await;
    let worker = world.start_worker().await;
    world.publish(&large("folded", 0..20)).await;
    let cursor = async || {
        world
            .number("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'")
            .await
    };
    world
        .eventually("all is folded", async || cursor().await == Some(20))
        .await;
    world
        .eventually("it is trimmed", async || world.kept_events().await.0 == 20)
        .await;
    let loss =
        "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'hole', 'of the test')";
    assert!(worker.sigterm(Duration::from_secs(20)).await.success());
    sqlx::query(loss).execute(&world.db).await.expect("a loss");
    let stopped = world.spawn_worker_with(&[]);
    let tells = async || {
        stopped
            .get("/readyz/fold_app_events")
            .await
            .is_some_and(|(status, _)| status == 503)
    };
    world.eventually("the fold is stopped", tells).await;
    fill(&world, "waits").await;
    world
        .eventually("the metric shows it", async || {
            stopped.count(FULL).await == Some(1)
        })
        .await;
    assert_eq!(world.kept_events().await.0, 20);
    let accepted = "UPDATE stream_losses SET accepted_at = now()";
    sqlx::query(accepted).execute(&world.db).await.expect("accepted");
    world.settled().await;
    world
        .eventually("room is made", async || world.kept_events().await.1 < MIB / 2)
        .await;
}

#[tokio::test]
async fn f52_a_durable_consumer_is_waited_for_while_there_is_room() {
    let world = small().env("KEEP_FOLDED", "0s").start().await;
    world
        .set_duplicate_window(APP_EVENTS, Duration::from_millis(100))
        .await;
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let config = pull::Config {
        durable_name: Some("backup".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer");
    let worker = world.start_worker().await;
    world.publish(&large("n", 0..50)).await;
    world.settled().await;
    let mut messages = consumer
        .fetch()
        .max_messages(30)
        .messages()
        .await
        .expect("messages");
    while let Some(message) = messages.next().await {
        message
            .expect("a message")
            .double_ack()
            .await
            .expect("acknowledged");
    }
    world
        .eventually("acknowledged messages are removed", async || {
            world.kept_events().await.0 == 31
        })
        .await;
    // When the room is needed, messages without an acknowledgement are removed too.
    world.publish(&large("more", 0..205)).await;
    world
        .eventually("room is made", async || worker.metric(TRIMMED).await > 40.0)
        .await;
    world.settled().await;
}

#[tokio::test]
async fn a_stream_that_denies_purges_runs_untrimmed_and_says_so() {
    let world = small().env("KEEP_FOLDED", "0s").start().await;
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let mut config = stream.cached_info().config.clone();
    config.deny_purge = true;
    config.duplicate_window = Duration::from_millis(100);
    world.jetstream.update_stream(config).await.expect("an edit");
    let migrated = world.command(&["migrate", "--events-per-s", "1000"]).await;
    let said = crate::world::text(&migrated);
    assert!(
        migrated.status.success() && said.contains("deny_purge") && said.contains("nats stream rm"),
        "{said}"
    );
    assert!(said.contains("1000 events a second"), "{said}");
    let worker = world.start_worker().await;
    let untrimmed = "rolekeeper_stream_untrimmed{stream=\"APP_EVENTS\"}";
    world
        .eventually("the metric shows it", async || {
            worker.count(untrimmed).await == Some(1)
        })
        .await;
    world.publish(&[play("one", "pl_1")]).await;
    world.publish(&large("n", 0..100)).await;
    world.settled().await;
    world
        .eventually("the forecast shows it", async || {
            worker.metric(FORECAST).await < 3_600.0
        })
        .await;
    assert_eq!(world.kept_events().await.0, 1);
}
