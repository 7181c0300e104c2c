//! `rolekeeper migrate`: database and streams.
//!
//! Owns the order: database first, since a worker refuses an old schema. Must be safe to repeat.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::app;
use crate::bus::{APP_EVENTS, AUTH0_LOGS, Limits, ROLE_CHANGES};
use crate::config::MigrateArgs;

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
    for (name, max_bytes, max_age) in [
        (
            APP_EVENTS,
            streams.app_events_max_bytes,
            streams.app_events_max_age,
        ),
        (
            AUTH0_LOGS,
            streams.auth0_logs_max_bytes,
            streams.auth0_logs_max_age,
        ),
        (
            ROLE_CHANGES,
            streams.role_changes_max_bytes,
            streams.role_changes_max_age,
        ),
    ] {
        let limits = Limits {
            replicas: streams.replicas,
            max_bytes,
            max_age,
        };
        let state = bus
            .ensure_stream(name, limits)
            .await
            .with_context(|| format!("stream {name}"))?;
        println!(
            "stream {name}: {} messages, {:.1} of {} MiB used",
            state.messages,
            state.bytes as f64 / f64::from(1 << 20),
            state.max_bytes >> 20
        );
        if !state.differences.is_empty() {
            anyhow::bail!(
                "stream {name} cannot be brought in order: {}",
                state.differences.join("; ")
            );
        }
    }
    Ok(())
}
