//! Clients that send half a request or nothing, or disconnect before the response.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::data_api::DataApi;
use crate::world::{LOG_TOKEN, World, size};

/// Connects and sends these bytes.
async fn send(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("it is written");
    stream
}

/// F54: half a header, half a body, a byte a minute, 900 connections, at a stop: bounded, exit 0 within the grace period.
#[tokio::test]
async fn f54_half_sent_requests_do_not_hold_up_a_stop() {
    let world = World::builder().env("GRACE_PERIOD_S", 8).start().await;
    let worker = world.worker();
    let body = format!(
        "POST /auth0/logs HTTP/1.1\r\nhost: x\r\nauthorization: {LOG_TOKEN}\r\ncontent-length: 9\r\n\r\n["
    );
    let mut open = vec![];
    for setting in ["LISTEN", "OPS_LISTEN"] {
        let address = worker.address(setting).await;
        for text in ["", "GET /heal", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", &body] {
            open.push(send(&address, text).await);
        }
    }
    // The connection whose response is read shows that the others have been accepted.
    assert_eq!(worker.get("/healthz").await.map(|(status, _)| status), Some(200));
    let status = worker.sigterm(Duration::from_secs(6)).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn f54_silent_connections_stop_nothing_else() {
    let world = World::builder()
        .postgres_proxy()
        .env("OPEN_FILES", 1_024)
        .start()
        .await;
    let worker = world.worker();
    let address = worker.address("LISTEN").await;
    let mut silent = vec![];
    for _ in 0..1_100 {
        let connected = TcpStream::connect(&address).await;
        silent.push(connected.expect("no connection is refused"));
    }
    world.postgres_proxy().cut();
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    assert_eq!(worker.get("/healthz").await.map(|(status, _)| status), Some(200));
    world
        .eventually("it is ready", async || worker.is_ready().await)
        .await;
    // Each is closed in order, none of them by a reset.
    let ended = tokio::time::timeout(Duration::from_secs(15), silent[0].read_u8()).await;
    let ended = ended
        .expect("a silent connection is closed")
        .expect_err("without a byte");
    assert_eq!(ended.kind(), std::io::ErrorKind::UnexpectedEof);
}

/// No token is needed for a header.
#[tokio::test]
async fn f54_headers_without_an_end_take_little_memory() {
    let world = World::builder().listening().await;
    let worker = world.worker();
    let address = worker.address("LISTEN").await;
    let header = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(400 << 10));
    let clients = (0..size(800, 1_000)).map(async |_| {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        // The worker may refuse the header before it is sent.
        let _ = stream.write_all(header.as_bytes()).await;
        stream
    });
    let open = futures_util::future::join_all(clients).await;
    assert_eq!(worker.get("/healthz").await.map(|(status, _)| status), Some(200));
    drop(open);
    let peak = worker.peak_memory_mib();
    assert!(peak < 128, "{peak} MiB");
}

/// F43: clients of the data API hang up at any moment of a request: no connection is left in a transaction, no acknowledged write is
/// lost.
#[tokio::test]
async fn f43_clients_that_hang_up_end_no_handler_half_way() {
    let api = DataApi::start_in(World::builder().postgres_proxy(), &[]).await;
    let user = "auth0|ann";
    assert_eq!(api.get(user, "/songs").await.status, 200);
    api.world.postgres_proxy().delay(Duration::from_millis(100));
    let body = r#"{"songname":"x"}"#;
    let request = format!(
        "POST /songs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        api.token(user),
        body.len()
    );
    let address = api.url.trim_start_matches("http://");
    let mut clients = vec![];
    let hanging_up = size(20, 800);
    for _ in 0..hanging_up {
        clients.push(send(address, &request).await);
    }
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    api.world
        .eventually("a handler is in the middle", async || {
            api.world.number(open).await > Some(0)
        })
        .await;
    drop(clients);
    let songs = "SELECT count(*) FROM songs";
    api.world
        .eventually("each song is added", async || {
            api.world.number(songs).await == Some(i64::from(hanging_up))
        })
        .await;
    api.world.postgres_proxy().restore();
    let listed = api.get(user, "/songs").await.json();
    for song in listed.as_array().expect("a list") {
        let path = format!("/songs/{}", song["song_id"].as_str().expect("an id"));
        assert_eq!(api.delete(user, &path).await.status, 204);
    }
    assert_eq!(api.world.number(songs).await, Some(0));
    api.world
        .eventually("no session is left inside a transaction", async || {
            api.world.number(open).await == Some(0)
        })
        .await;
    let added = api
        .send(user, Method::POST, "/songs", json!({"songname": "y"}))
        .await;
    assert_eq!(added.status, 201);
}
