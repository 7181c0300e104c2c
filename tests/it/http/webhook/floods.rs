//! Deliveries that are large, numerous, or made to use up memory.
//!
//! F53: a webhook body of 20,000 records; very many pieces; gzip; values one behind another; half a batch broken: all good records are
//! stored, and memory stays bounded.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::world::data_api::DataApi;
use crate::world::{LOG_TOKEN, World};

/// Longest time to any response of the webhook.
const RESPONSE_WITHIN: Duration = Duration::from_mins(1);

/// Records without an envelope, numbered.
fn records(numbers: std::ops::Range<u32>) -> String {
    let mut body = String::new();
    for n in numbers {
        let _ = writeln!(
            body,
            r#"{{"log_id":"{n:056}","type":"fsa","date":"2026-11-23T10:00:00.000Z"}}"#
        );
    }
    body
}

async fn messages(world: &World) -> u64 {
    let stream = world.jetstream.get_stream("AUTH0_LOGS").await;
    let state = stream.expect("the stream is there").cached_info().state.clone();
    state.messages
}

#[tokio::test]
async fn f53_twenty_thousand_records_in_one_body_are_stored() {
    let world = World::start().await;
    let worker = world.worker();
    let delivery = worker.post_logs(LOG_TOKEN, records(0..20_000));
    let response = tokio::time::timeout(RESPONSE_WITHIN, delivery).await;
    assert_eq!(response.expect("a response within a minute"), Some(200));
    assert_eq!(messages(&world).await, 20_000);
}

#[tokio::test]
async fn f53_many_deliveries_hold_up_no_other_publisher() {
    let api = DataApi::start_in(World::builder(), &[]).await;
    let deliveries = futures_util::future::join_all((0..200_u32).map(|n| {
        let records = records(n * 100..n * 100 + 100);
        api.worker.post_logs(LOG_TOKEN, records)
    }));
    let others = async {
        for n in 0..10_u32 {
            let one = api.worker.post_logs(LOG_TOKEN, records(90_000 + n..90_001 + n));
            assert_eq!(one.await, Some(200));
            let made = api
                .send(
                    "auth0|ann",
                    Method::POST,
                    "/playlists",
                    json!({"name": "Road trip"}),
                )
                .await;
            assert_eq!(made.status, 202, "{}", made.text);
        }
    };
    let both = async { tokio::join!(deliveries, others).0 };
    let responses = tokio::time::timeout(RESPONSE_WITHIN, both).await;
    let responses = responses.expect("all responses within a minute");
    assert!(responses.into_iter().all(|status| status == Some(200)));
    assert_eq!(messages(&api.world).await, 20_010);
}

#[tokio::test]
async fn f53_a_body_of_very_many_pieces_takes_little_memory() {
    let world = World::builder().listening().await;
    let worker = world.worker();
    let body = format!("[{}]", vec!["{}"; 1 << 18].join(","));
    let delivery = tokio::time::timeout(RESPONSE_WITHIN, worker.post_logs(LOG_TOKEN, body)).await;
    assert_eq!(delivery.expect("a response within a minute"), Some(200));
    assert_eq!(messages(&world).await, 1);
    let peak = worker.peak_memory_mib();
    assert!(peak < 100, "{peak} MiB");
}

#[tokio::test]
async fn f53_deliveries_beyond_the_cap_on_connections_wait() {
    let world = World::builder().env("OPEN_FILES", 1_024).listening().await;
    let worker = world.worker();
    let deliveries = futures_util::future::join_all(
        (0..1_500_u32).map(|n| worker.post_logs(LOG_TOKEN, records(n * 10..n * 10 + 10))),
    );
    let responses = tokio::time::timeout(RESPONSE_WITHIN, deliveries).await;
    let responses = responses.expect("all responses within a minute");
    assert!(responses.into_iter().all(|status| status == Some(200)));
    assert_eq!(messages(&world).await, 15_000);
}
