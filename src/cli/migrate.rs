//! `rolekeeper migrate`: brings database and streams to the state that this version needs.
//!
//! Owns the order: database first, since a worker refuses an old schema. Must be safe to repeat, and must never narrow a
//! stream that an operator has widened, unless `--narrow` is given.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::output::say;
use crate::app;
use crate::bus::{APP_EVENTS, AUTH0_LOGS, Bus, Limits, ROLE_CHANGES, StreamState};
use crate::config::{MigrateArgs, StreamLimits, StreamsConfig};
use rolekeeper_domain::plural::noun;

/// Assumed bytes of a stored play, where the stream holds too few for an average.
const EVENT_BYTES: f64 = 330.0;
/// Fewest messages in the stream for their average size to be used.
const ENOUGH_MESSAGES: u64 = 1_000;
/// Seconds of events that trimming always keeps: the floor, or the duplicate window and its margin, and one round of trimming.
const ALWAYS_KEPT_S: f64 = 16.0 * 60.0;
const DAY_S: f64 = 86_400.0;

/// Longest wait for a connection to NATS.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &MigrateArgs) -> Result<()> {
    let config = args.checked()?;
    let store = app::connect(&config.database).await?;
    let applied = store.migrate().await.context("database")?;
    if applied > 0 {
        let act = args
            .by
            .act("migrate", json!({"release": env!("CARGO_PKG_VERSION")}), None);
        store
            .acted(
                &act,
                &format!("{applied} {} applied", noun(applied, "migration", "migrations")),
            )
            .await?;
    }
    say!("database: up to date");
    let bus = app::bus(&config.bus).await?;
    tokio::time::timeout(CONNECT_WITHIN, bus.wait_for_supported_server())
        .await
        .with_context(|| {
            format!(
                "NATS: no server of NATS_URL responded within 10 s{}",
                bus.why_unconnected()
            )
        })??;
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
    say!(
        "stream {name}: {} {}, {:.1} of {} MiB used",
        state.messages,
        noun(state.messages, "message", "messages"),
        state.bytes as f64 / f64::from(1 << 20),
        state.max_bytes >> 20
    );
    for sentence in left {
        say!("stream {name}: {sentence}; `rolekeeper migrate --narrow` sets it");
    }
    if state.denies_purge && name != ROLE_CHANGES {
        say!("stream {name}: {}", way_out(name));
    }
    if let Some(rate) = streams.events_per_s
        && name == APP_EVENTS
    {
        say!("stream {name}: {}", need(rate, &state));
    }
    anyhow::ensure!(
        state.differences.is_empty(),
        "the stream cannot be corrected: {}",
        state.differences.join("; ")
    );
    Ok(())
}

/// Returns the instructions for a stream that can never be trimmed.
fn way_out(name: &str) -> String {
    format!(
        "has deny_purge, which JetStream never removes: the stream is not trimmed, and a folded message stays until it reaches \
         the stream's age limit. To correct this, in a quiet hour: stop the publishers, wait until rolekeeper_fold_lag_messages \
         is 0, `nats stream rm {name}`, `rolekeeper migrate`, `rolekeeper accept-stream {name}`, start the publishers"
    )
}

/// Returns the text about the room that this rate of events needs.
fn need(rate: i64, state: &StreamState) -> String {
    let event = if state.messages >= ENOUGH_MESSAGES {
        state.bytes as f64 / state.messages as f64
    } else {
        EVENT_BYTES
    };
    let a_second = rate as f64 * event;
    let mib = |seconds: f64| (a_second * seconds / f64::from(1 << 20)).ceil();
    format!(
        "{rate} events a second of {event:.0} bytes need {} MiB at least (16 minutes are always kept), {} MiB for a fold that \
         stands still for a day, {} MiB for 7 days of folded events; the stream may hold {} MiB, which is {:.1} hours of events",
        mib(ALWAYS_KEPT_S),
        mib(DAY_S),
        mib(7.0 * DAY_S),
        state.max_bytes >> 20,
        state.max_bytes as f64 / a_second / 3600.0
    )
}
