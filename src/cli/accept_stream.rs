//! `rolekeeper accept-stream`: the way out of a loss.
//!
//! Owns where the fold goes on: at the first message that was certainly not folded. Must say what it does
//! before and after, since events are given up for good.

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::app;
use crate::bus::{Bus, From, STREAMS};
use crate::config::{BusArgs, DatabaseArgs, check_parts};
use crate::store::{Cursor, Loss, Wake};

/// The fold goes on behind the loss; held revokes are decided anew.
#[derive(Args, Debug)]
pub(super) struct AcceptArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    bus: BusArgs,
    /// The stream whose loss is accepted
    #[arg(value_parser = STREAMS)]
    stream: String,
    /// Go on at this stream sequence instead of where the loss suggests
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
}

pub(super) async fn run(args: AcceptArgs) -> Result<()> {
    let AcceptArgs {
        database,
        bus,
        stream,
        from,
    } = args;
    let (database, bus) = check_parts(&database, &bus)?;
    let (store, bus) = (app::connect(&database).await?, app::bus(&bus).await?);
    let Some(loss) = store.open_loss(&stream).await? else {
        bail!("{stream}: no loss stands, nothing to accept")
    };
    let cursor = store
        .cursor(&stream)
        .await?
        .context("a loss stands, but there is no cursor")?;
    println!("{stream} {}: {}", loss.kind, loss.detail);
    let state = bus.stream_state(&stream).await?;
    let next = match from {
        Some(seq) => seq,
        None => next_unfolded(&bus, &stream, &loss, &cursor)
            .await?
            .unwrap_or(state.last_seq + 1),
    };
    if next > state.last_seq + 1 {
        bail!("--from {next}: the stream ends at {}", state.last_seq);
    }
    if !store
        .accept_loss(&stream, state.created_ns, next.cast_signed() - 1, Wake::Streams)
        .await?
    {
        bail!("{stream}: somebody else accepted it meanwhile");
    }
    println!(
        "accepted: the fold goes on at {next}, {} messages wait; held revokes are decided anew",
        state.last_seq + 1 - next
    );
    Ok(())
}

/// The first message that was not folded, none if there is none.
async fn next_unfolded(bus: &Bus, stream: &str, loss: &Loss, cursor: &Cursor) -> Result<Option<u64>> {
    let from = match loss.kind.as_str() {
        // Another stream: everything in it is new.
        "recreated" => From::Seq(1),
        // The same events in part, under sequences that do not tell: what was stored after the last one we folded is new.
        "rewound" | "replaced" => From::StoredAfter(cursor.last_stored_ns),
        _ => From::Seq(cursor.last_seq.unsigned_abs() + 1),
    };
    Ok(bus.first(stream, from).await?)
}
