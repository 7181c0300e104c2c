//! `rolekeeper accept-stream --promoted`: accepts a mirror that replaced its stream.
//!
//! Owns the proof that the fold can continue in the mirror without loss. Must never accept a stream that holds a different
//! message at the cursor.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::output::say;
use crate::bus::{APP_EVENTS, Bus, From, Which};
use crate::flow::fold::promoted;
use crate::store::{Channel, Cursor, Loss, Store};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::date;
use rolekeeper_domain::plural::noun;

/// Accepts the mirror: the fold continues directly after its cursor and drops duplicates for one duplicate window.
pub(super) async fn run(
    (store, bus): (&Store, &Bus),
    stream: &str,
    (loss, cursor): (&Loss, &Cursor),
    act: &Act,
) -> Result<()> {
    if loss.kind != "recreated" {
        bail!(
            "nothing was done: --promoted is for a stream that was replaced by another one, and {stream} was {}",
            loss.kind
        );
    }
    let room = bus.room(stream).await?;
    if room.state.is_mirror {
        bail!(
            "nothing was done: {stream} is still a mirror. Promote it first (nats-server 2.12 or newer: remove `mirror` from \
             its configuration), and run `rolekeeper migrate`"
        );
    }
    prove(bus, stream, cursor).await?;
    let window = room.duplicate_window;
    if stream == APP_EVENTS {
        let ids = promoted::remember(store, bus, cursor, window).await?;
        say!("{ids} event ids are remembered, so that an event that is published again counts once");
    }
    let until_ns = room.now_ns.saturating_add(ns(window));
    let window_s = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
    let place = (room.state.created_ns, until_ns, window_s);
    if !store
        .accept_promoted(stream, cursor, place, (Channel::Streams, act))
        .await?
    {
        bail!("{stream}: another operator accepted the loss in the meantime");
    }
    let next = cursor.last_seq.unsigned_abs() + 1;
    let waiting = bus.waiting(stream, From::Seq(next)).await?;
    say!(
        "accepted: nothing is lost; the fold goes on at {next}, {} {}; duplicates are dropped until {}",
        waiting.count,
        noun(waiting.count, "message waits", "messages wait"),
        date::of_unix_ns(until_ns)
    );
    Ok(())
}

/// Fails unless the stream holds exactly the message that was folded last.
async fn prove(bus: &Bus, stream: &str, cursor: &Cursor) -> Result<()> {
    let last = cursor.last_seq;
    let hash = cursor.last_hash.with_context(|| {
        format!(
            "nothing was done: the hash of the message at the cursor ({last}) is not known, so nothing proves that this is the \
             same stream. Use accept-stream without --promoted"
        )
    })?;
    let Some(there) = bus.fetch(stream, Which::At(last.unsigned_abs())).await? else {
        bail!(
            "nothing was done: {stream} does not hold message {last}, which was folded last: the mirror had not copied it. \
             Use accept-stream without --promoted, and give --from to set where the fold goes on"
        );
    };
    let differs = match (there.stored_ns == cursor.last_stored_ns, there.hash() == hash) {
        (true, true) => return Ok(()),
        (false, _) => "was stored at another time",
        (true, false) => "has other content",
    };
    bail!(
        "nothing was done: message {last} of {stream} {differs} than the one that was folded last, so this is not a mirror of \
         the previous stream"
    )
}

fn ns(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
