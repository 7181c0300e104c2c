//! The limits of NATS and database alone: the same stream drained, the same batches added, without other work.
//!
//! Owns the two figures to which the pipe is compared. Must never do less than the pipe needs: the drain reads each message's
//! sequence, the upsert commits each batch separately.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures_util::StreamExt as _;
use sqlx::{Connection as _, PgConnection};

use crate::stream::{Filled, playlist_id};

/// Reads all messages without acknowledgement, `batch` at a time.
pub(crate) async fn drain(filled: &Filled, batch: usize) -> Result<Duration> {
    let began = Instant::now();
    let stream = filled.stream().await?;
    let consumer = stream.create_consumer(pull::Config {
        ack_policy: AckPolicy::None,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    });
    let mut messages = consumer
        .await?
        .stream()
        .max_messages_per_batch(batch)
        .messages()
        .await?;
    let mut last = 0;
    while last < filled.events {
        let message = messages.next().await.context("the stream ended")??;
        let info = message.info().map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::ensure!(
            info.stream_sequence == last + 1,
            "message {} is missing",
            last + 1
        );
        last = info.stream_sequence;
    }
    Ok(began.elapsed())
}

/// Adds the same events in batches of `batch`, one transaction each, keys in order.
pub(crate) async fn upsert(url: &str, filled: &Filled, batch: usize) -> Result<Duration> {
    let batches: Vec<(Vec<String>, Vec<i64>)> = filled.of.chunks(batch).map(summed).collect();
    let mut db = PgConnection::connect(url).await?;
    let began = Instant::now();
    for (ids, plays) in &batches {
        let mut tx = db.begin().await?;
        let upsert = sqlx::query(
            "INSERT INTO playlists (playlist_id, plays) SELECT * FROM UNNEST($1::text[], $2::bigint[])
             ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + excluded.plays",
        );
        upsert.bind(ids).bind(plays).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(began.elapsed())
}

fn summed(of: &[u32]) -> (Vec<String>, Vec<i64>) {
    let mut sums: HashMap<u32, i64> = HashMap::new();
    for playlist in of {
        *sums.entry(*playlist).or_default() += 1;
    }
    let mut sums: Vec<(String, i64)> = sums
        .into_iter()
        .map(|(playlist, plays)| (playlist_id(playlist), plays))
        .collect();
    sums.sort_unstable();
    sums.into_iter().unzip()
}
