//! Deliveries that are slow or have no end, on many connections at once.
//!
//! F54: half a header, half a body, a byte a minute, 900 connections, at a stop: bounded, exit 0 within the grace period.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::world::{LOG_TOKEN, World};

const SENDERS: usize = 200;
/// Deliveries of other senders meanwhile.
const OTHERS: u32 = 60;
/// Longest time of a slow delivery: for memory and for its body, and some for a slow machine.
const ENDED_WITHIN: Duration = Duration::from_secs(90);
/// Time between two parts of a slow body, far below any limit for one part.
const PAUSE: Duration = Duration::from_millis(300);

/// The body of a sender.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// Of a stated length, some bytes at a time.
    Slow,
    /// In chunks, some bytes at a time.
    SlowChunks,
    /// In chunks, as fast as they are taken, without an end.
    Endless,
}

impl Body {
    fn of(number: usize) -> Self {
        [Self::Slow, Self::SlowChunks, Self::Endless][number % 3]
    }

    fn header(self) -> &'static str {
        match self {
            Self::Slow => "content-length: 100000",
            Self::SlowChunks | Self::Endless => "transfer-encoding: chunked",
        }
    }

    fn part(self) -> Vec<u8> {
        match self {
            Self::Slow => b"    ".to_vec(),
            Self::SlowChunks => b"4\r\n    \r\n".to_vec(),
            Self::Endless => [b"10000\r\n", &b" ".repeat(0x1_0000)[..], b"\r\n"].concat(),
        }
    }

    /// Sends until the worker closes the connection.
    async fn send(self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let header = self.header();
        let head =
            format!("POST /auth0/logs HTTP/1.1\r\nhost: x\r\nauthorization: {LOG_TOKEN}\r\n{header}\r\n\r\n");
        writer.write_all(head.as_bytes()).await?;
        let part = self.part();
        loop {
            writer.write_all(&part).await?;
            if !matches!(self, Self::Endless) {
                sleep(PAUSE).await;
            }
        }
    }

    /// The beginning of the response; empty if the connection was closed without one.
    async fn response(self, address: &str) -> String {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut reader, mut writer) = stream.into_split();
        let mut response = vec![0; 12];
        tokio::select! {
            read = reader.read_exact(&mut response) => if read.is_err() { response.clear() },
            _ = self.send(&mut writer) => response.clear(),
        }
        String::from_utf8(response).expect("a line of HTTP")
    }
}

#[tokio::test]
async fn f54_slow_and_endless_bodies_hold_up_nothing_else() {
    let world = World::builder().listening().await;
    let worker = world.worker();
    let address = worker.address("LISTEN").await;
    let senders = join_all((0..SENDERS).map(|number| Body::of(number).response(&address)));
    let others = async {
        for number in 0..OTHERS {
            let record = format!(r#"{{"log_id":"{number}","type":"fsa"}}"#);
            assert_eq!(worker.post_logs(LOG_TOKEN, record).await, Some(200), "{number}");
            let health = worker.get("/healthz").await.map(|(status, _)| status);
            assert_eq!(health, Some(200), "{number}");
            sleep(PAUSE).await;
        }
    };
    let (responses, ()) = timeout(ENDED_WITHIN, async { tokio::join!(senders, others) })
        .await
        .expect("each ends in time");
    for response in responses {
        let refused = ["", "HTTP/1.1 503", "HTTP/1.1 413", "HTTP/1.1 408"].contains(&&*response);
        assert!(refused, "{response}");
    }
    let stream = world
        .jetstream
        .get_stream("AUTH0_LOGS")
        .await
        .expect("the stream");
    assert_eq!(
        stream.cached_info().state.messages,
        u64::from(OTHERS),
        "nothing cut is stored"
    );
    let peak = worker.peak_memory_mib();
    assert!(peak < 250, "{peak} MiB");
}
