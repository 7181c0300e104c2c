//! Accepted versions of nats-server: the oldest supported one works, an older one is refused with a clear error.

use rolekeeper_sandbox::servers::{NatsOptions, oldest_nats_server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::world::events::{plays, retraction, saved};
use crate::world::{LOG_TOKEN, World, text};

const MISSING: &str = "the oldest nats-server is not installed: run scripts/install.sh test";

#[tokio::test]
async fn the_oldest_supported_nats_server_works() {
    let Some(binary) = oldest_nats_server() else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{MISSING}");
        return eprintln!("{MISSING}");
    };
    let nats = NatsOptions {
        binary: Some(binary),
        ..NatsOptions::default()
    };
    let world = World::builder().nats(nats).start().await;
    assert!(world.nats.lock().await.version().starts_with("2.10."));
    world.seed_user("auth0|u1", &["admin"]);
    world.publish(&[saved("s1", "pl_1", "auth0|u1")]).await;
    world.publish(&plays("n", "pl_1", 0..101)).await;
    let record = r#"{"log_id":"l1","data":{"type":"fp","log_id":"l1"}}"#;
    assert_eq!(
        world.worker().post_logs(LOG_TOKEN, record.to_owned()).await,
        Some(200)
    );
    world.settled().await;
    assert_eq!(world.roles("auth0|u1"), ["admin", "playlist_editor"]);
    world.nats.lock().await.kill().await.expect("nats-server ends");
    world
        .nats
        .lock()
        .await
        .start_again()
        .await
        .expect("nats-server starts");
    world
        .publish(&[retraction("r1", "n-1", "pl_1"), saved("s2", "pl_2", "auth0|u1")])
        .await;
    world.settled().await;
}

#[tokio::test]
async fn an_older_nats_server_is_refused_with_a_sentence() {
    let world = World::start().await;
    let (url, _server) = old_server().await;
    let env = [("NATS_URL", url.as_str())];
    for command in ["migrate", "serve"] {
        let output = world.command_with(&[command], &env).await;
        assert!(!output.status.success());
        let said = text(&output);
        assert!(
            said.contains("nats-server 2.9.10 is too old: rolekeeper needs 2.10 or newer"),
            "{said}"
        );
    }
    world.settled().await;
}

/// Greets as nats-server 2.9.10 does, responds only to pings; ends with the test.
async fn old_server() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            clients.spawn(greet(stream, port));
        }
    });
    (format!("nats://127.0.0.1:{port}"), server)
}

async fn greet(stream: TcpStream, port: u16) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let info = serde_json::json!({
        "server_id": "OLD", "server_name": "old", "version": "2.9.10", "go": "go1.19", "host": "127.0.0.1",
        "port": port, "max_payload": 1 << 20, "proto": 1, "client_id": 1, "headers": true, "jetstream": true,
    });
    write
        .write_all(format!("INFO {info}\r\n").as_bytes())
        .await
        .ok()?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        if line.starts_with("PING") {
            write.write_all(b"PONG\r\n").await.ok()?;
        }
    }
    Some(())
}
