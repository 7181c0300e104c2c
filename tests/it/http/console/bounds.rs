//! Clients that send a form slowly, or from a page of another site.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::still;
use crate::world::console::{Browser, READ_TOKEN};

/// More forms at once than the console reads; the listener has 64 connections.
const SLOW_FORMS: usize = 40;

/// Begins a form that never ends.
async fn slow_form(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = "POST /console/sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
        content-length: 1000\r\n\r\nname=";
    stream.write_all(head.as_bytes()).await.expect("a head is sent");
    stream
}

#[tokio::test]
async fn slow_forms_leave_room_for_probes_and_end_soon() {
    let world = still().await;
    let worker = world.worker();
    let address = worker.address("OPS_LISTEN").await;
    let mut slow = vec![];
    for _ in 0..SLOW_FORMS {
        slow.push(slow_form(&address).await);
    }
    let probe = timeout(Duration::from_secs(2), worker.get("/healthz")).await;
    assert_eq!(probe.expect("a response in time").expect("a response").0, 200);
    for mut stream in slow {
        let mut head = [0; 12];
        let read = timeout(Duration::from_secs(20), stream.read_exact(&mut head)).await;
        read.expect("a response in time").expect("a response");
        let status = String::from_utf8_lossy(&head[9..]).into_owned();
        assert!(["408", "503"].contains(&status.as_str()), "{status}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_use_up_the_tries() {
    let world = still().await;
    let worker = world.worker();
    let url = format!("http://{}/console/sign-in", worker.address("OPS_LISTEN").await);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    for _ in 0..20 {
        let form = http.post(&url).header("sec-fetch-site", "cross-site");
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let answer = form.body("name=eve&token=x").send().await.expect("a response");
        assert_eq!(answer.status().as_u16(), 403);
    }
    Browser::signed_in(&worker, "ann", READ_TOKEN).await;
}
