//! The webhook's reaction to any posted body.
//!
//! F26: deliveries of the log stream: a batch twice, out of order by 5 s, three formats, a wrong token, a body of 5 MB, an empty batch,
//! unknown types, records without `log_id` or `user_id`, one bad record in a good batch: the same batch has one effect; after a good token
//! a 4xx for size alone; nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use rolekeeper_sandbox::tenant::{Format, LogStream};
use serde_json::{Value, json};

use crate::world::{LOG_TOKEN, World};

const OLD_TOKEN: &str = "the-token-before-this-one";

/// One record in the form of a log stream.
fn record(n: u32, kind: &str, user: &str) -> Value {
    let log_id = format!("90020261123100000000{n:036}");
    let data = json!({"log_id": log_id, "type": kind, "user_id": user, "date": "2026-11-23T10:00:00.000Z",
        "description": "é \u{1f3b5} \"quoted\"", "details": {"n": n}});
    json!({"log_id": log_id, "data": data})
}

fn records(numbers: std::ops::Range<u32>) -> Vec<Value> {
    numbers
        .map(|n| record(n, "fsa", &format!("auth0|u{n}")))
        .collect()
}

fn lines(records: &[Value]) -> String {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    lines.join("\n")
}

/// All messages in the stream of tenant logs: subject and payload, with repetitions.
async fn stored(world: &World) -> BTreeMap<(String, Vec<u8>), u32> {
    let stream = world
        .jetstream
        .get_stream("AUTH0_LOGS")
        .await
        .expect("the stream is there");
    let last = stream.cached_info().state.last_sequence;
    let mut stored = BTreeMap::new();
    for seq in 1..=last {
        let message = stream.get_raw_message(seq).await.expect("nothing is deleted");
        *stored
            .entry((message.subject.to_string(), message.payload.to_vec()))
            .or_default() += 1;
    }
    stored
}

/// The expected content of the stream when it has each of these records exactly once.
fn once(kind: &str, records: &[Value]) -> BTreeMap<(String, Vec<u8>), u32> {
    let one = |record: &Value| ((format!("auth0.logs.{kind}"), record.to_string().into_bytes()), 1);
    records.iter().map(one).collect()
}

async fn post(world: &World, body: impl Into<reqwest::Body>) -> u16 {
    let status = world.worker().post_logs(LOG_TOKEN, body).await;
    status.expect("the webhook responds")
}

/// Reasons and numbers of the dead letters of the tenant's log.
async fn dead(world: &World) -> BTreeMap<String, i64> {
    let rows = world.rows(
        "SELECT reason, sum(total) AS total FROM dead_letter_totals WHERE stream = 'AUTH0_LOGS' GROUP BY 1",
    );
    let total = |row: &Value| {
        (
            row["reason"].as_str().unwrap_or_default().to_owned(),
            row["total"].as_i64().unwrap_or(-1),
        )
    };
    rows.await.iter().map(total).collect()
}

#[tokio::test]
async fn f26_a_batch_in_any_form_order_and_number_is_stored_once() {
    let world = World::start().await;
    let mut batch = records(0..50);
    let forms = |batch: &[Value]| {
        [
            lines(batch),
            json!(batch).to_string(),
            json!({"logs": batch}).to_string(),
        ]
    };
    for _ in 0..2 {
        for body in forms(&batch) {
            assert_eq!(post(&world, body).await, 200);
        }
        batch.reverse();
    }
    // One by one, the second half of an earlier batch with a new record, and Windows' line ends.
    assert_eq!(post(&world, batch[3].to_string()).await, 200);
    assert_eq!(
        post(&world, lines(&records(40..60)).replace('\n', "\r\n\r\n")).await,
        200
    );
    assert_eq!(stored(&world).await, once("fsa", &records(0..60)));
    let worker = world.worker();
    world.quiet().await;
    let folded = r#"rolekeeper_folded_messages_total{stream="AUTH0_LOGS"}"#;
    assert_eq!(
        (worker.count(folded).await, dead(&world).await.len()),
        (Some(60), 0)
    );
}

#[tokio::test]
async fn f26_only_the_two_tokens_open_the_door() {
    let world = World::builder()
        .env("LOG_STREAM_TOKEN_OLD", OLD_TOKEN)
        .start()
        .await;
    let worker = world.worker();
    let body = lines(&records(0..3));
    let upper = LOG_TOKEN.to_uppercase();
    let longer = format!("{LOG_TOKEN}x");
    for wrong in [
        "",
        "Bearer",
        &LOG_TOKEN[8..],
        &LOG_TOKEN[..20],
        &longer,
        &upper,
        "Bearer \u{e9}",
    ] {
        assert_eq!(
            worker.post_logs(wrong, body.clone()).await,
            Some(401),
            "{wrong:?}"
        );
    }
    let url = format!("http://{}/auth0/logs", worker.address("LISTEN").await);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let bare = http
        .post(&url)
        .body(body.clone())
        .send()
        .await
        .expect("a response");
    assert_eq!(bare.status(), 401);
    // Without a token the webhook does not even read the body, so this client's connection ends with the response.
    let large = http.post(&url).body("x".repeat(1 << 20)).send().await;
    assert!(large.map_or(true, |answer| answer.status() == 401));
    assert!(stored(&world).await.is_empty());
    for right in [LOG_TOKEN, OLD_TOKEN] {
        assert_eq!(worker.post_logs(right, body.clone()).await, Some(200));
    }
    assert_eq!(stored(&world).await, once("fsa", &records(0..3)));
    let refused = r#"rolekeeper_webhook_requests_total{result="unauthorized"}"#;
    assert_eq!(worker.count(refused).await, Some(9));
}

#[tokio::test]
async fn f26_large_bodies_are_taken_and_refused_beyond_the_bound() {
    let world = World::start().await;
    let padded = |n: u32| {
        let mut record = record(n, "sapi", "");
        record["data"]["details"] = json!({"pad": "x".repeat(5_000)});
        record
    };
    let batch: Vec<Value> = (0..1_000).map(padded).collect();
    let body = lines(&batch);
    assert!(body.len() > 5_000_000);
    assert_eq!(post(&world, body).await, 200);
    assert_eq!(stored(&world).await, once("sapi", &batch));

    // One record that is too large for a message is kept in part, and shown as a dead letter.
    let mut giant = record(9_999, "sapi", "");
    giant["data"]["details"] = json!({"pad": "y".repeat(5 << 20)});
    assert_eq!(post(&world, giant.to_string()).await, 200);
    world.quiet().await;
    assert_eq!(dead(&world).await, [("unreadable".to_owned(), 1)].into());

    for megabytes in [17, 40] {
        assert_eq!(post(&world, vec![b'x'; megabytes << 20]).await, 413);
    }
    assert_eq!(stored(&world).await.len(), 1_001);
    let worker = world.worker();
    let too_large = r#"rolekeeper_webhook_requests_total{result="too_large"}"#;
    assert_eq!(worker.count(too_large).await, Some(2));
}

/// Posts each body twice, since the sender may repeat, and checks after each that what is stored are these subjects.
async fn stored_under(world: &World, table: Vec<(Vec<u8>, &[&str])>) {
    let mut expected: BTreeMap<String, u32> = BTreeMap::new();
    for (body, subjects) in table {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        for _ in 0..2 {
            assert_eq!(post(world, body.clone()).await, 200, "{shown}");
        }
        for subject in subjects {
            *expected.entry(format!("auth0.logs.{subject}")).or_default() += 1;
        }
        let mut found: BTreeMap<String, u32> = BTreeMap::new();
        for ((subject, _), times) in stored(world).await {
            *found.entry(subject).or_default() += times;
        }
        assert_eq!(found, expected, "after {shown}");
    }
}

#[tokio::test]
async fn f26_every_record_is_stored_under_its_type() {
    let world = World::start().await;
    let bytes = |record: Value| record.to_string().into_bytes();
    let cloud = json!({"specversion": "1.0", "type": "user.updated", "id": "evt_1", "source": "urn:auth0:t",
        "data": {"object": {"user_id": "auth0|c"}}});
    let odd_type =
        json!({"log_id": "9002", "data": {"log_id": "9002", "type": "a.b>*", "user_id": "auth0|d"}});
    let no_user = json!({"log_id": "9003", "data": {"type": "fsa", "user_id": null}});
    let table: Vec<(Vec<u8>, &[&str])> = vec![
        (bytes(record(1, "fsa", "auth0|a")), &["fsa"]),
        (
            bytes(json!({"data": {"type": "fsa", "user_id": "auth0|b"}})),
            &["fsa"],
        ),
        (bytes(cloud), &["event"]),
        (bytes(odd_type), &["other"]),
        (bytes(record(2, "brand_new_2027", "")), &["brand_new_2027"]),
        (bytes(no_user), &["fsa"]),
        (bytes(json!({"no": "record"})), &["other"]),
    ];
    stored_under(&world, table).await;
    world.quiet().await;
    assert_eq!(dead(&world).await, [("missing_field".to_owned(), 1)].into());
}

#[tokio::test]
async fn f26_of_a_body_that_cannot_be_read_nothing_is_lost() {
    let world = World::start().await;
    let mixed = lines(&[record(3, "fsa", ""), json!(7), record(4, "fsa", "")]);
    let torn = format!("{}\n{{torn\n{}", record(5, "fsa", ""), record(6, "fsa", ""));
    let table: Vec<(Vec<u8>, &[&str])> = vec![
        (vec![], &[]),
        (b"  \n \r\n".to_vec(), &[]),
        (b"[]".to_vec(), &[]),
        (br#"{"logs":[]}"#.to_vec(), &[]),
        (mixed.into(), &["fsa", "unreadable", "fsa"]),
        (torn.into(), &["fsa", "unreadable", "fsa"]),
        (b"not json at all".to_vec(), &["unreadable"]),
        (b"\xff\xfe\x00\x01".to_vec(), &["unreadable"]),
        (b"null".to_vec(), &["unreadable"]),
        ("[".repeat(10_000).into_bytes(), &["unreadable"]),
    ];
    stored_under(&world, table).await;
    world.quiet().await;
    assert_eq!(dead(&world).await, [("unreadable".to_owned(), 6)].into());
}

#[tokio::test]
async fn without_the_bus_it_says_503_and_stays_ready_to_say_so() {
    let world = World::start().await;
    let worker = world.worker();
    assert_eq!(post(&world, lines(&records(0..5))).await, 200);
    world.nats.lock().await.stop().await.expect("nats-server stops");
    world
        .eventually("the worker has noticed", async || {
            worker.count("rolekeeper_bus_up").await == Some(0)
        })
        .await;
    for body in [lines(&records(3..8)), "not json".to_owned()] {
        assert_eq!(post(&world, body).await, 503);
    }
    assert_eq!(
        worker.get("/readyz/http").await.map(|(status, _)| status),
        Some(200)
    );
    assert_eq!(worker.get("/healthz").await.map(|(status, _)| status), Some(200));
    assert_eq!(worker.post_logs("wrong", "").await, Some(401));
    world
        .nats
        .lock()
        .await
        .start_again()
        .await
        .expect("nats-server starts");
    let sent = world.eventually("it accepts records again", async || {
        post(&world, lines(&records(3..8))).await == 200
    });
    sent.await;
    assert_eq!(stored(&world).await, once("fsa", &records(0..8)));
}

#[tokio::test]
async fn f26_a_late_doubled_and_mixed_stream_counts_once() {
    let world = World::start().await;
    let url = format!("http://{}/auth0/logs", world.worker().address("LISTEN").await);
    for (n, format) in [Format::JsonLines, Format::JsonArray, Format::JsonObject]
        .into_iter()
        .enumerate()
    {
        let stream = LogStream {
            format,
            delay: Duration::ZERO..=Duration::from_secs(5),
            batch: 7,
            twice: 0.5,
            shuffle: true,
            ..LogStream::to(&url, LOG_TOKEN)
        };
        world.tenant.stream_logs(stream).expect("a webhook");
        for user in 0..20 {
            let user = format!("auth0|{n}-{user}");
            world.tenant.create_user(&user, json!({})).expect("a sign-up");
            world.tenant.login(&user).expect("a login");
        }
        world.settled().await;
    }
    let logged = world.tenant.logged_count();
    assert!(world.tenant.delivered_log_ids().len() > logged && world.tenant.stream_errors().is_empty());
    assert_eq!((stored(&world).await.len(), logged), (120, 120));
    // Each new user was read once, or twice if a record came during the read.
    assert!(
        (60..=90).contains(&world.api_calls()),
        "{} calls",
        world.api_calls()
    );
    assert!(dead(&world).await.is_empty());
}
