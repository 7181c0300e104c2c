//! Large deliveries share a bounded amount of memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::world::{LOG_TOKEN, World};

/// The maximum size of a body.
const BYTES: usize = 16 << 20;
const DELIVERIES: usize = 16;

/// Sends all of a delivery but its end, waits for the gate, and returns the status of the response; none if the worker
/// responded before all was sent, and closed.
async fn deliver(address: &str, sent: &AtomicUsize, mut gate: watch::Receiver<bool>) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /auth0/logs HTTP/1.1\r\nhost: x\r\nauthorization: {LOG_TOKEN}\r\nconnection: close\r\ncontent-length: {BYTES}\r\n\r\n"
    );
    let blank = vec![b' '; 1 << 16];
    let begun = async {
        stream.write_all(head.as_bytes()).await?;
        for _ in 0..BYTES / blank.len() - 1 {
            stream.write_all(&blank).await?;
        }
        std::io::Result::Ok(())
    };
    let begun = begun.await;
    sent.fetch_add(1, Ordering::Relaxed);
    gate.wait_for(|open| *open).await.expect("the gate opens");
    let record = r#"{"log_id":"a","type":"fsa"}"#;
    let mut end = blank;
    end[..record.len()].copy_from_slice(record.as_bytes());
    let mut response = String::new();
    begun.ok()?;
    stream.write_all(&end).await.ok()?;
    stream.read_to_string(&mut response).await.ok()?;
    Some(response.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Half of them wait until the others are stored, and a small one waits for none of them.
#[tokio::test]
async fn deliveries_that_are_large_together_are_taken_in_turns() {
    let world = World::builder().listening().await;
    let worker = world.worker();
    let address = worker.address("LISTEN").await;
    let (sent, (gate, closed)) = (AtomicUsize::new(0), watch::channel(false));
    let all =
        futures_util::future::join_all((0..DELIVERIES).map(|_| deliver(&address, &sent, closed.clone())));
    let opened = async {
        world
            .eventually("each is in memory or waits for room", async || {
                let waiting = worker.count("rolekeeper_webhook_waiting").await.unwrap_or(0);
                sent.load(Ordering::Relaxed) + usize::try_from(waiting).unwrap_or(0) == DELIVERIES
            })
            .await;
        let small = r#"{"log_id":"b","type":"fsa"}"#;
        assert_eq!(worker.post_logs(LOG_TOKEN, small).await, Some(200));
        gate.send_replace(true);
    };
    let (statuses, ()) = tokio::join!(all, opened);
    // On a slow machine one may have got a 503.
    let told = |status: &Option<String>| {
        status
            .as_ref()
            .is_none_or(|status| status == "200" || status == "503")
    };
    assert!(statuses.iter().all(told), "{statuses:?}");
    assert!(statuses.contains(&Some("200".to_owned())), "{statuses:?}");
    let peak = worker.peak_memory_mib();
    assert!(peak < 200, "{peak} MiB");
}

/// A sender that gets a 503 also gets the time for its retry.
#[tokio::test]
async fn a_delivery_that_is_not_stored_is_told_when_to_come_again() {
    let world = World::builder().listening().await;
    let worker = world.worker();
    world.nats.lock().await.stop().await.expect("it stops");
    world
        .eventually("the bus is away", async || {
            worker.count("rolekeeper_bus_up").await == Some(0)
        })
        .await;
    let url = format!("http://{}/auth0/logs", worker.address("LISTEN").await);
    let delivery = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
        .post(url);
    let delivery = delivery.header("authorization", LOG_TOKEN).body("{}").send();
    let response = delivery.await.expect("a response");
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
}
