//! `rolekeeper migrate`: database and streams.
//!
//! Owns the order: database first, since a worker refuses an old schema. Must be safe to repeat, and must never narrow a
//! stream that an operator has widened unless told to.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::app;
use crate::bus::{APP_EVENTS, AUTH0_LOGS, Bus, Limits, ROLE_CHANGES};
use crate::config::{MigrateArgs, StreamLimits, StreamsConfig};

/// Longest wait for a connection to NATS.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &MigrateArgs) -> Result<()> {
    let config = args.checked()?;
    app::connect(&config.database)
        .await?
        .migrate()
        .await
        .context("database")?;
    println!("database: up to date");
    let bus = app::bus(&config.bus).await?;
    tokio::time::timeout(CONNECT_WITHIN, bus.wait_for_supported_server())
        .await
        .context("NATS: no server of NATS_URL answered within 10 s")??;
    let streams = config.streams;
    for (name, limits) in [
        (APP_EVENTS, streams.app_events),
        (AUTH0_LOGS, streams.auth0_logs),
        (ROLE_CHANGES, streams.role_changes),
    ] {
        ensure(&bus, name, limits, &streams)
            .await
            .with_context(|| format!("stream {name}"))?;
    }
    Ok(())
}

async fn ensure(bus: &Bus, name: &'static str, limits: StreamLimits, streams: &StreamsConfig) -> Result<()> {
    let made = Limits {
        replicas: Some(streams.new_replicas),
        max_bytes: Some(limits.new_max_bytes),
        max_age: Some(limits.new_max_age),
        narrow: true,
    };
    let there = Limits {
        replicas: streams.replicas,
        max_bytes: limits.max_bytes,
        max_age: limits.max_age,
        narrow: streams.narrow,
    };
    let (state, left) = bus.ensure_stream(name, made, there).await?;
    println!(
        "stream {name}: {} messages, {:.1} of {} MiB used",
        state.messages,
        state.bytes as f64 / f64::from(1 << 20),
        state.max_bytes >> 20
    );
    for sentence in left {
        println!("stream {name}: {sentence}; `rolekeeper migrate --narrow` sets it");
    }
    anyhow::ensure!(
        state.differences.is_empty(),
        "cannot be brought in order: {}",
        state.differences.join("; ")
    );
    Ok(())
}
