//! Publishing bytes that no client library would send.
//!
//! Owns a few lines of the NATS protocol over TCP. Must never check what it sends.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::World;
use crate::world::events::Sent;

impl World {
    /// Publishes `sent` on `subject`, unchanged, with `headers` after the version line, and waits until the stream has
    /// it. Returns its sequence.
    pub(crate) async fn publish_raw(&self, subject: &[u8], headers: &[u8], sent: Sent) -> u64 {
        let seq = self.send_raw(subject, headers, &sent.payload).await;
        self.oracle().stored(seq, sent);
        seq
    }

    /// The same for any stream, without the oracle.
    pub(crate) async fn send_raw(&self, subject: &[u8], headers: &[u8], payload: &[u8]) -> u64 {
        let port = self.nats.lock().await.port();
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("NATS");
        let block = [b"NATS/1.0\r\n", headers, b"\r\n"].concat();
        let sizes = format!(" inbox {} {}\r\n", block.len(), block.len() + payload.len());
        let connect: &[u8] =
            b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB inbox 1\r\nHPUB ";
        let all = [connect, subject, sizes.as_bytes(), &block[..], payload, b"\r\n"].concat();
        server.write_all(&all).await.expect("NATS reads");
        let mut lines = BufReader::new(server).lines();
        loop {
            let line = lines
                .next_line()
                .await
                .expect("NATS responds")
                .expect("a response");
            assert!(!line.starts_with("-ERR"), "{line}");
            if let Some((_, rest)) = line.split_once("\"seq\":") {
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                break digits.and_then(|digits| digits.parse().ok()).expect("a number");
            }
        }
    }
}
