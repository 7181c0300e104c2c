//! `rolekeeper skip`: moves a fold past one message that stops it.
//!
//! Owns the check that the fold does not get past the message by itself. Must never skip a message other than the one
//! directly after the cursor, nor a message of a fold that moves.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::output::say;
use crate::app;
use crate::bus::{STREAMS, Which};
use crate::config::{BusArgs, DatabaseArgs, ReasonedArgs, check_parts};
use crate::flow::fold::judge;
use crate::store::{Channel, Cursor, DeadLetter, Store};
use rolekeeper_domain::event::Reason;
use rolekeeper_domain::stream_loss::StreamLoss;

/// Longest time in which a working fold moves its cursor while a message waits.
const WATCHED_FOR: Duration = Duration::from_secs(5);
/// Time between two reads of the cursor while the fold is watched.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Skips a message: it becomes a dead letter with the reason `skipped`, and the fold continues after it.
#[derive(Args, Debug)]
pub(super) struct SkipArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    bus: BusArgs,
    /// The stream whose fold stands still
    #[arg(value_parser = STREAMS)]
    stream: String,
    /// Sequence of the message: the one directly after the cursor
    #[arg(value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    seq: u64,
    #[command(flatten)]
    act: ReasonedArgs,
}

pub(super) async fn run(args: SkipArgs) -> Result<()> {
    let SkipArgs {
        database,
        bus,
        stream,
        seq,
        act,
    } = args;
    let (database, bus) = check_parts(&database, &bus)?;
    let (store, bus) = (app::connect(&database).await?, app::bus(&bus).await?);
    if let Some(loss) = store.open_loss(&stream).await? {
        bail!(
            "{stream} {}: {}; a loss is accepted with `rolekeeper accept-stream {stream}`, not skipped",
            loss.kind,
            loss.detail
        );
    }
    let cursor = store
        .cursor(&stream)
        .await?
        .with_context(|| format!("{stream} was never folded: it has no cursor"))?;
    let next = cursor.last_seq.unsigned_abs() + 1;
    if seq != next {
        bail!(
            "{stream}: only the message directly after the cursor can be skipped, which is {next}, not {seq}"
        );
    }
    let state = bus.stream_state(&stream).await?;
    if let Some(lost) = judge(&bus, &stream, (&cursor, &state)).await? {
        let StreamLoss { kind, detail } = lost;
        bail!(
            "{stream} looks {}: {detail}; start a worker, which reports the loss",
            kind.as_str()
        );
    }
    let Some(stored) = bus.fetch(&stream, Which::At(seq)).await? else {
        bail!("{stream} has no message {seq} (it ends at {})", state.last_seq);
    };
    stands_still(&store, &stream, &cursor).await?;
    let subject = stored.subject.escape_default().to_string();
    let letter = DeadLetter {
        seq: seq.cast_signed(),
        subject: &subject,
        reason: Reason::Skipped,
        detail: format!("skipped by an operator: {}", act.why()),
        headers: stored.event_headers().map(|headers| headers.to_string()),
        payload: &stored.payload,
        size: stored.payload.len(),
        stored_ns: stored.stored_ns,
    };
    let act = act.act("skip", json!({"stream": stream, "seq": seq}));
    let skipped = store.skip(&stream, &cursor, &letter, (Channel::Streams, &act));
    if !skipped.await? {
        bail!("{stream}: the cursor moved in the meantime; nothing was skipped");
    }
    say!(
        "skipped: message {seq} of {stream} (subject {subject}, {} bytes) is a dead letter; the fold goes on at {}",
        letter.size,
        seq + 1
    );
    Ok(())
}

/// Fails when the fold moves.
async fn stands_still(store: &Store, stream: &str, cursor: &Cursor) -> Result<()> {
    say!(
        "watching {stream} for {} s: its fold must stand still after {}",
        WATCHED_FOR.as_secs(),
        cursor.last_seq
    );
    let until = Instant::now() + WATCHED_FOR;
    while Instant::now() < until {
        if store.cursor(stream).await?.as_ref() != Some(cursor) {
            bail!("{stream}: the fold moves by itself; nothing was skipped");
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
