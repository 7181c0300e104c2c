//! Counts plays in the simplest way: one statement per event, which is a separate transaction, then the acknowledgement;
//! `AT_ONCE` events in flight at a time.
//!
//! Owns only its own consumer. Delivery is at least once: after a crash between commit and acknowledgement, an event counts
//! twice. Must never acknowledge before the commit.
//!
//! Environment: `NATS_URL`, `DATABASE_URL`, `STREAM`, `CONSUMER`, `AT_ONCE`. SIGTERM: finishes events in flight, prints one
//! line of JSON (`events`, `last_seq`, `last_commit` in Unix milliseconds).

use std::env;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use anyhow::{Context as _, Error, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, Message};
use futures_util::{StreamExt as _, TryStreamExt as _};
use rolekeeper::clock;
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::signal::unix::{SignalKind, signal};

const COUNT: &str = "INSERT INTO playlists (playlist_id, plays) VALUES ($1, 1)
                     ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + 1";

#[derive(Deserialize)]
struct Event {
    playlist_id: String,
}

#[derive(Default)]
struct Done {
    events: AtomicU64,
    last_seq: AtomicU64,
    last_commit: AtomicI64,
}

/// Runs until SIGTERM.
#[tokio::main]
pub(crate) async fn run() -> Result<()> {
    let at_once: u8 = env::var("AT_ONCE")?.parse()?;
    let pool = PgPoolOptions::new()
        .max_connections(at_once.into())
        // The statement shows a lost connection; a check before each would cost a round trip per event.
        .test_before_acquire(false)
        .connect(&env::var("DATABASE_URL")?)
        .await?;
    let client = async_nats::connect(env::var("NATS_URL")?).await?;
    let stream = jetstream::new(client.clone())
        .get_stream(env::var("STREAM")?)
        .await?;
    let config = pull::Config {
        durable_name: Some(env::var("CONSUMER")?),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    let messages = stream.create_consumer(config).await?.messages().await?;

    let mut sigterm = signal(SignalKind::terminate())?;
    let done = Done::default();
    messages
        .take_until(Box::pin(sigterm.recv()))
        .map_err(Error::from)
        .try_for_each_concurrent(usize::from(at_once), |message| count(&pool, message, &done))
        .await?;
    client.flush().await?;
    pool.close().await;
    println!(
        "{{\"events\":{:?},\"last_seq\":{:?},\"last_commit\":{:?}}}",
        done.events, done.last_seq, done.last_commit
    );
    Ok(())
}

async fn count(pool: &PgPool, message: Message, done: &Done) -> Result<()> {
    let event: Event = serde_json::from_slice(&message.payload).context("unreadable")?;
    sqlx::query(COUNT).bind(event.playlist_id).execute(pool).await?;
    message.ack().await.map_err(Error::from_boxed)?;
    let info = message.info().map_err(Error::from_boxed)?;
    done.events.fetch_add(1, Ordering::Relaxed);
    done.last_seq.fetch_max(info.stream_sequence, Ordering::Relaxed);
    let now = clock::now().unix_timestamp_nanos() / 1_000_000;
    done.last_commit.fetch_max(i64::try_from(now)?, Ordering::Relaxed);
    Ok(())
}
