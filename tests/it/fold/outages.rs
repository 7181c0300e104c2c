//! The behaviour of the fold while NATS is away or drops connections.

use std::time::Duration;

use futures_util::TryStreamExt as _;

use crate::world::events::{Sent, play, plays, saved};
use crate::world::{APP_EVENTS, LOG_TOKEN, World};

/// Time until a connection without a response is replaced, and a response that was waited for on it.
const LEFT_WITHIN: Duration = Duration::from_secs(20);
const RESTARTS: &str = "rolekeeper_reader_restarts_total{stream=\"APP_EVENTS\"}";

/// Ann's playlist is saved and played 150 times, in `parts` parts.
pub(super) fn story(parts: u32) -> Vec<Vec<Sent>> {
    let each = 150 / parts;
    let mut story: Vec<_> = (0..parts)
        .map(|part| plays("a", "pl_1", part * each..part * each + each))
        .collect();
    story[0].insert(0, saved("s1", "pl_1", "auth0|ann"));
    story
}

/// F6: the bus is down at the start, is down for minutes, restarts, drops connections in waves: not ready, but alive;
/// the worker continues by itself.
#[tokio::test]
async fn f06_a_worker_waits_for_a_bus_that_is_not_there_yet() {
    let world = World::builder().workers(0).start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&story(1)[0]).await;
    world.nats.lock().await.stop().await.unwrap();
    let worker = world.spawn_worker_with(&[]);
    let says = async |path: &str| worker.get(path).await.map(|(status, _)| status);
    world
        .eventually("it is up and not ready", async || {
            says("/readyz").await == Some(503)
        })
        .await;
    assert_eq!(says("/healthz").await, Some(200));
    assert_eq!(worker.count("rolekeeper_bus_up").await, Some(0));
    // The response to a log stream meanwhile: send it again.
    assert_eq!(worker.post_logs(LOG_TOKEN, "{\"type\":\"s\"}").await, Some(503));

    world.nats.lock().await.start_again().await.unwrap();
    world
        .eventually("it is ready", async || worker.is_ready().await)
        .await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
}

/// The bus is killed and started again in the middle, several times.
#[tokio::test]
async fn f06_a_bus_that_is_killed_loses_and_doubles_nothing() {
    let world = World::builder().env("FOLD_BATCH", 50).start().await;
    let many: Vec<Sent> = (0..20_000)
        .map(|n| play(&format!("n{n}"), &format!("pl_{}", n % 500)))
        .collect();
    let harming = async {
        for _ in 0..3 {
            let before = world
                .number("SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'")
                .await;
            let further = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
            world
                .eventually("the fold continues", async || {
                    world.number(further).await > before
                })
                .await;
            let mut nats = world.nats.lock().await;
            nats.kill().await.unwrap();
            nats.start_again().await.unwrap();
        }
    };
    tokio::join!(world.publish(&many), harming);
    world.settled().await;
    assert!(world.worker().is_ready().await);
}

/// Connections to the bus are cut in waves, then refused for a while.
#[tokio::test]
async fn f06_connections_to_the_bus_may_be_cut_in_waves() {
    let world = World::builder().nats_proxy().start().await;
    world.seed_user("auth0|ann", &[]);
    for part in &story(5) {
        world.publish(part).await;
        // The worker has all of its three connections again before the next wave; otherwise five cuts would be one.
        let connections = world.nats_proxy().connections() + 3;
        world.nats_proxy().cut();
        world
            .eventually("it connects again", async || {
                world.nats_proxy().connections() >= connections
            })
            .await;
    }
    world.settled().await;
    world.nats_proxy().refuse();
    let worker = world.worker();
    world
        .eventually("the bus is missed", async || {
            worker.count("rolekeeper_bus_up").await == Some(0)
        })
        .await;
    world.publish(&plays("late", "pl_1", 0..10)).await;
    world.nats_proxy().restore();
    world.settled().await;
}

/// The connections to the bus go silent, as after the loss of its host; new ones pass.
#[tokio::test]
async fn f06_a_silent_bus_is_left_within_20_s() {
    let world = World::builder().nats_proxy().start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.settled().await;
    let worker = world.worker();
    world.nats_proxy().go_silent();
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let record = r#"{"log_id":"l1","type":"s"}"#;
    world
        .eventually_within(LEFT_WITHIN, "the webhook stores records", async || {
            worker.post_logs(LOG_TOKEN, record).await == Some(200)
        })
        .await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    world.count_is("the change is announced", announced, 1).await;
}

/// F7: the consumer is deleted; messages are missed inside a batch: the fold starts again at the cursor, and nothing
/// is passed over.
#[tokio::test]
async fn f07_a_deleted_consumer_is_made_again_at_the_cursor() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &[]);
    let worker = world.worker();
    for (part, events) in story(3).iter().enumerate() {
        world.publish(events).await;
        world.settled().await;
        let stream = world.jetstream.get_stream(APP_EVENTS).await.unwrap();
        let consumers: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
        assert!(!consumers.is_empty());
        for consumer in consumers {
            stream.delete_consumer(&consumer).await.unwrap();
        }
        let restarts = i64::try_from(part).unwrap() + 1;
        world
            .eventually("it starts again", async || {
                worker.count(RESTARTS).await >= Some(restarts)
            })
            .await;
    }
    world.publish(&plays("late", "pl_1", 0..10)).await;
    world.settled().await;
}
