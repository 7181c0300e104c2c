//! F32: the stream is full: publishers and the webhook get an error, not silence.

use reqwest::Method;
use serde_json::json;

use crate::world::data_api::{ANNA, DataApi};
use crate::world::events::{Sent, play, plays};
use crate::world::{LOG_TOKEN, World};

/// Publishes large events until the stream refuses one; returns the error.
async fn filled(world: &World) -> String {
    let padding = "x".repeat(10_000);
    for n in 0..200 {
        let large: Sent = play(&format!("n{n}"), "pl_1").with("padding", padding.as_str());
        match world.try_publish(&large).await.unwrap().await {
            Ok(ack) => world.oracle().stored(ack.sequence, large),
            Err(error) => return error.to_string(),
        }
    }
    panic!("1 MiB does not hold 2 MB")
}

#[tokio::test]
async fn f32_a_full_stream_refuses_publishers_and_loses_nothing() {
    let world = World::builder().env("APP_EVENTS_MAX_MIB", 1).start().await;
    let refused = filled(&world).await;
    assert!(refused.contains("maximum bytes"), "{refused}");
    world.settled().await;
    let worker = world.worker();
    let headroom = "rolekeeper_stream_headroom_ratio{stream=\"APP_EVENTS\"}";
    world
        .eventually("the metric shows it", async || {
            worker.metric(headroom).await < 0.05
        })
        .await;

    // With new room, publishers continue under the ids that were refused.
    let widened = world
        .command_with(&["migrate"], &[("APP_EVENTS_MAX_MIB", "8")])
        .await;
    assert!(widened.status.success());
    world.publish(&plays("n", "pl_1", 0..200)).await;
    world.settled().await;
}

#[tokio::test]
async fn f32_a_full_stream_of_log_records_is_told_to_auth0_as_503() {
    let world = World::builder().env("AUTH0_LOGS_MAX_MIB", 1).start().await;
    let worker = world.worker();
    let padding = "x".repeat(100_000);
    let mut answers = Vec::new();
    for n in 0..20 {
        let record = format!(
            r#"{{"log_id":"l{n}","data":{{"type":"fp","log_id":"l{n}","description":"{padding}"}}}}"#
        );
        answers.push(worker.post_logs(LOG_TOKEN, record).await);
    }
    let stored = answers.iter().filter(|answer| **answer == Some(200)).count();
    assert!((1..12).contains(&stored), "{answers:?}");
    assert!(
        answers[stored..].iter().all(|answer| *answer == Some(503)),
        "{answers:?}"
    );
    assert!(worker.is_ready().await);
    world.settled().await;
}

#[tokio::test]
async fn f32_a_full_stream_is_told_to_the_app_as_503() {
    let builder = World::builder().env("APP_EVENTS_MAX_MIB", 1);
    let api = DataApi::start_in(builder, &[]).await;
    filled(&api.world).await;
    let name = json!({"name": "x".repeat(100)});
    let mut stored = 0;
    let refused = loop {
        let got = api.send(ANNA, Method::POST, "/playlists", name.clone()).await;
        if got.status != 202 {
            break got;
        }
        stored += 1;
        assert!(stored < 100, "the last 10 KB are never full");
    };
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    let listed = "SELECT count(*) FROM playlists WHERE owner_id = 'auth0|anna'";
    api.world
        .count_is("what was stored is counted", listed, stored)
        .await;
}
