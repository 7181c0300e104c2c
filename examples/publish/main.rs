//! A publisher of app events in Rust, as an app server has it: message id, acknowledgement, retry, outbox.
//!
//! ```text
//! NATS_URL=nats://localhost:4222 NATS_USER=app NATS_PASSWORD=… cargo run --example publish -- outbox.ndjson
//! ```
//!
//! The file stands for the outbox: a table that the transaction of the play itself writes, in the order of commits. An event is
//! removed from it only after its acknowledgement; here it is printed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, Context};
use serde_json::Value;

const LONGEST_DELAY: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: publish FILE")?;
    let setting = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let connection =
        async_nats::ConnectOptions::with_user_and_password(setting("NATS_USER")?, setting("NATS_PASSWORD")?)
            // The user `app` may subscribe to nothing else.
            .custom_inbox_prefix("_INBOX_app")
            .retry_on_initial_connect()
            .connect(setting("NATS_URL")?)
            .await?;
    let stream = jetstream::new(connection.clone());
    // One after the other, which keeps the order of each playlist. Events of different playlists may be in flight together.
    for line in std::fs::read_to_string(path)?
        .lines()
        .filter(|line| !line.is_empty())
    {
        let event: Value = serde_json::from_str(line)?;
        let text = |field: &str| {
            event[field]
                .as_str()
                .with_context(|| format!("an event without {field}"))
        };
        let kind = if text("type")?.starts_with("playlist_") {
            "playlists"
        } else {
            "plays"
        };
        let subject = format!("{kind}.{}", text("playlist_id")?);
        let id = text("event_id")?;
        let ack = publish(&stream, &subject, id, line).await;
        let stored = if ack.duplicate { "stored before" } else { "stored" };
        println!("{id} {} {stored}", ack.sequence);
    }
    connection.drain().await?;
    Ok(())
}

/// Sends one event until the stream has it. Every attempt has the same message id, so it is stored once.
async fn publish(stream: &Context, subject: &str, id: &str, event: &str) -> PublishAck {
    let mut delay = Duration::from_millis(200);
    loop {
        match attempt(stream, subject, id, event).await {
            Ok(ack) => return ack,
            // No acknowledgement: NATS is away, the stream is full, or the response was lost. A repeat is safe for 10 minutes.
            Err(error) => eprintln!("{id}: {error}; again in {delay:?}"),
        }
        tokio::time::sleep(delay).await;
        delay = (2 * delay).min(LONGEST_DELAY);
    }
}

async fn attempt(stream: &Context, subject: &str, id: &str, event: &str) -> Result<PublishAck, PublishError> {
    let message = PublishMessage::build()
        .payload(event.to_owned().into())
        .message_id(id);
    // The first wait sends the message, the second one is for the acknowledgement.
    stream.send_publish(subject.to_owned(), message).await?.await
}
