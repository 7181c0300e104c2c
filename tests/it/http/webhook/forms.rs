//! Deliveries of senders other than a log stream: Event Streams, and forwarders that join or compress records.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::world::{LOG_TOKEN, World};

/// The token of the tests without its scheme.
fn bare() -> &'static str {
    &LOG_TOKEN[7..]
}

fn record(n: u32) -> Value {
    let log_id = format!("90020261128100000{n:038}");
    let data = json!({"log_id": log_id, "date": "2026-11-28T10:00:00.000Z", "type": "s", "user_id": format!("auth0|r{n}")});
    json!({"log_id": log_id, "data": data})
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

async fn post_gzip(world: &World, body: Vec<u8>) -> u16 {
    post_as(world, "gzip", body).await
}

async fn post_as(world: &World, encoding: &str, body: Vec<u8>) -> u16 {
    let url = format!("http://{}/auth0/logs", world.worker().address("LISTEN").await);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = http
        .post(url)
        .header("authorization", LOG_TOKEN)
        .header("content-encoding", encoding)
        .body(body);
    request.send().await.expect("a response").status().as_u16()
}

/// Messages of a subject in the stream of tenant logs.
async fn stored(world: &World, subject: &str) -> usize {
    let stream = world
        .jetstream
        .get_stream("AUTH0_LOGS")
        .await
        .expect("the stream");
    let subjects = stream.info_with_subjects(format!("auth0.logs.{subject}")).await;
    let mut subjects = subjects.expect("its subjects");
    let mut number = 0;
    while let Some(Ok((_, messages))) = futures_util::StreamExt::next(&mut subjects).await {
        number += messages;
    }
    number
}

/// An unreadable body would be one dead letter, with all its records.
#[tokio::test]
async fn a_delivery_in_an_unknown_encoding_is_refused() {
    let world = World::builder().listening().await;
    for encoding in ["zstd", "br", "gzip, br"] {
        assert_eq!(post_as(&world, encoding, b"x".to_vec()).await, 415, "{encoding}");
    }
    let plain = record(1).to_string().into_bytes();
    assert_eq!(post_as(&world, "identity", plain).await, 200);
    assert_eq!(stored(&world, "*").await, 1);
}

#[tokio::test]
async fn case09_a_token_is_taken_with_and_without_bearer() {
    let old = "the-token-before-this-one";
    let world = World::builder()
        .env("LOG_STREAM_TOKEN_OLD", old)
        .listening()
        .await;
    let worker = world.worker();
    for token in [bare(), old] {
        for sent in [
            token.to_owned(),
            format!("Bearer {token}"),
            format!("bearer {token}"),
        ] {
            assert_eq!(worker.post_logs(&sent, "").await, Some(200), "{sent}");
        }
        for sent in [
            format!("Basic {token}"),
            format!("Bearer{token}"),
            format!("Bearer Bearer {token}"),
        ] {
            assert_eq!(worker.post_logs(&sent, "").await, Some(401), "{sent}");
        }
    }
}

/// F53: a webhook body of 20,000 records; very many pieces; gzip; values one behind another; half a batch broken: all good records are
/// stored, and memory stays bounded.
#[tokio::test]
async fn f53_values_one_behind_another_are_stored() {
    let world = World::builder().listening().await;
    let record = |n| record(n).to_string();
    let pretty = |n| serde_json::to_string_pretty(&self::record(n)).expect("JSON");
    let bodies = [
        record(0) + &record(1),
        format!("{} {}", record(2), record(3)),
        format!("{},{}", record(4), record(5)),
        format!("{}\n{}", pretty(6), pretty(7)),
        format!("{}\r{}", record(8), record(9)),
        format!("\u{1e}{}\n\u{1e}{}\n", record(10), record(11)),
        format!("[{},{},]", record(12), record(13)),
    ];
    for body in bodies {
        assert_eq!(
            world.worker().post_logs(LOG_TOKEN, body.clone()).await,
            Some(200),
            "{body}"
        );
    }
    assert_eq!(
        (stored(&world, "s").await, stored(&world, "unreadable").await),
        (14, 0)
    );
    // A truncated or broken part of a batch is kept apart, and costs no other record.
    let cut = format!("[{},{}", record(14), &record(15)[..60]);
    let broken = format!("{{\"logs\":[{},{{\"log_id\":,}},{}]}}", record(16), record(17));
    for body in [cut, broken] {
        assert_eq!(world.worker().post_logs(LOG_TOKEN, body).await, Some(200));
    }
    assert_eq!(
        (stored(&world, "s").await, stored(&world, "unreadable").await),
        (17, 2)
    );
}

#[tokio::test]
async fn f53_gzip_is_decoded_within_the_bound() {
    let world = World::builder().listening().await;
    let lines: Vec<String> = (0..50).map(|n| record(n).to_string()).collect();
    assert_eq!(post_gzip(&world, gzip(lines.join("\n").as_bytes())).await, 200);
    assert_eq!(stored(&world, "s").await, 50);
    assert_eq!(post_gzip(&world, gzip(&vec![b' '; 17 << 20])).await, 413);
    // A body that is not gzip, despite its header, is kept unchanged.
    assert_eq!(post_gzip(&world, b"not gzip".to_vec()).await, 200);
    assert_eq!(stored(&world, "unreadable").await, 1);
}
