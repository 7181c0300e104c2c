//! `rolekeeper accept-stream`: accepts a loss, so that the fold continues.
//!
//! Owns the position at which the fold continues: the first message that was certainly not folded. Must print the effect
//! before it happens, and must never give up stored events without `--yes`.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::accept_promoted;
use super::output::say;
use crate::app;
use crate::bus::{Bus, From, STREAMS, Stored, Waiting};
use crate::config::{ActArgs, BusArgs, DatabaseArgs, check_parts};
use crate::store::{Channel, Cursor, Loss};
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::stream_loss::{self, LossKind, Unfolded};

/// Header that JetStream adds to messages that it copied from another stream.
const COPIED: &[u8] = b"Nats-Stream-Source:";

/// Accepts a loss: the fold continues after it, and held revokes are decided again.
#[derive(Args, Debug)]
pub(super) struct AcceptArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    bus: BusArgs,
    /// The stream whose loss is accepted
    #[arg(value_parser = STREAMS)]
    stream: String,
    /// Continue at this stream sequence instead of the one that follows from the loss
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// The stream is a mirror that replaced the folded stream: continue without loss, and drop events that are
    /// published again until one duplicate window has passed
    #[arg(long, conflicts_with_all = ["from", "yes"])]
    promoted: bool,
    /// Give up events that the stream holds and that were not folded
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: AcceptArgs) -> Result<()> {
    let AcceptArgs {
        database,
        bus,
        stream,
        from,
        promoted,
        yes,
        act,
    } = args;
    let (database, bus) = check_parts(&database, &bus)?;
    let (store, bus) = (app::connect(&database).await?, app::bus(&bus).await?);
    let Some(loss) = store.open_loss(&stream).await? else {
        bail!("{stream}: no loss is open, nothing to accept")
    };
    let cursor = store
        .cursor(&stream)
        .await?
        .context("a loss is open, but the stream has no cursor")?;
    say!("{stream} {}: {}", loss.kind, loss.detail);
    if promoted {
        let act = act.act("accept-stream", json!({"stream": stream, "promoted": true}));
        return accept_promoted::run((&store, &bus), &stream, (&loss, &cursor), &act).await;
    }
    let state = bus.stream_state(&stream).await?;
    let place = first_unfolded(&loss, &cursor);
    let unfolded = bus.waiting(&stream, place).await?;
    if loss.kind == "recreated" && from.is_none() {
        refuse_a_copy(&bus, &stream, &cursor, unfolded.first.as_ref()).await?;
    }
    let behind = state.last_seq + 1;
    let next = from.unwrap_or_else(|| unfolded.first.as_ref().map_or(behind, |first| first.seq));
    if next > behind {
        bail!("--from {next}: the stream ends at {}", state.last_seq);
    }
    let waiting = bus.waiting(&stream, From::Seq(next)).await?;
    let given_up = unfolded.count.saturating_sub(waiting.count);
    say!("{}", report(&unfolded, &waiting, given_up));
    if given_up > 0 && !yes {
        bail!(
            "nothing was done: add --yes to give up {given_up} {} permanently, or choose another --from",
            noun(given_up, "message", "messages")
        );
    }
    let act = act.act(
        "accept-stream",
        json!({"stream": stream, "loss": loss.kind, "continues_at": next, "given_up": given_up}),
    );
    let behind = next.cast_signed() - 1;
    if !store
        .accept_loss(
            &stream,
            &cursor,
            (state.created_ns, behind),
            (Channel::Streams, &act),
        )
        .await?
    {
        bail!(
            "{stream}: another operator accepted the loss or set the cursor in the meantime; nothing was done"
        );
    }
    say!(
        "accepted: the fold goes on at {next}, {} {}; held revokes are decided again",
        waiting.count,
        noun(waiting.count, "message waits", "messages wait")
    );
    Ok(())
}

/// Returns the position of the first message that was not folded.
fn first_unfolded(loss: &Loss, cursor: &Cursor) -> From {
    let kind = LossKind::of_text(&loss.kind);
    match stream_loss::unfolded(kind, cursor.folded().last_seq, cursor.newest_folded_ns()) {
        Unfolded::Seq(seq) => From::Seq(seq),
        Unfolded::StoredAfter(ns) => From::StoredAfter(ns),
    }
}

/// Fails for a stream that was copied into a new one: its old messages would count a second time.
async fn refuse_a_copy(bus: &Bus, stream: &str, cursor: &Cursor, first: Option<&Stored>) -> Result<()> {
    let Some(first) = first else { return Ok(()) };
    let copied = first.headers.windows(COPIED.len()).any(|part| part == COPIED);
    let newest = cursor.newest_folded_ns();
    if !copied && first.stored_ns > newest {
        return Ok(());
    }
    let later = bus.waiting(stream, From::StoredAfter(newest)).await?;
    let hint = match later.first {
        Some(later) if !copied => format!(
            "the first message stored after the newest folded one is {}: `--from {}`",
            later.seq, later.seq
        ),
        _ => "`--from 1` counts all of them".to_owned(),
    };
    bail!(
        "nothing was done: {stream} holds messages that may have been folded before the stream was created again ({}). Set \
         where the fold goes on: {hint}",
        if copied {
            "they were copied from another stream"
        } else {
            "its first message was stored before the newest folded one"
        }
    )
}

fn report(unfolded: &Waiting, waiting: &Waiting, given_up: u64) -> String {
    let first = waiting
        .first
        .as_ref()
        .map_or_else(String::new, |first| format!(", the first of them {}", first.seq));
    let twice = waiting.count.saturating_sub(unfolded.count);
    let twice = match twice {
        0 => String::new(),
        _ => format!("; {twice} of them were folded before and count again"),
    };
    format!(
        "{given_up} {} given up; {} {}{first}{twice}",
        noun(given_up, "stored message is", "stored messages are"),
        waiting.count,
        noun(waiting.count, "waits", "wait")
    )
}
