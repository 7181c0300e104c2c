//! The reasons why a change of the user waits: the entry in the work queue, and the state of the deployment.
//!
//! Owns these sentences. Each names the way out.

use time::OffsetDateTime;

use super::stored::{Crossing, Queued};
use super::system::{EngagedBrake, System};
use super::words::{brakes_of, moment, plain, plays, quoted};
use crate::brake::word;
use crate::plan::RoleChange;

/// The mark of users held because of the loss of a stream.
const STREAM_LOSS: &str = "stream_loss";
/// The mark of users held because of an import.
const IMPORT: &str = "import";

/// The sentences about the work queue.
pub(super) fn queued(queue: &[Queued], pending: bool, now: OffsetDateTime) -> Vec<String> {
    if !queue.is_empty() {
        return queue.iter().flat_map(|entry| of_entry(entry, now)).collect();
    }
    let none = "The user is not in the work queue: no attempt is due.";
    let sentence = if pending {
        format!("{none} The sweep compares all users with the rules and enqueues this one.")
    } else {
        none.to_owned()
    };
    vec![sentence]
}

fn of_entry(entry: &Queued, now: OffsetDateTime) -> Vec<String> {
    let mut said = vec![format!("{} {}", entry.user_id, place(entry, now))];
    if entry.parked_at.is_some() {
        said.push(format!(
            "After the profile is repaired: rolekeeper requeue --user {}",
            quoted(&entry.user_id)
        ));
    }
    if let Some(mark) = &entry.held_by {
        said.extend(held(mark));
    } else if entry.last_held_by.is_some() {
        said.push(
            "The last attempt held the user's changes; the user was enqueued again since, and the next attempt decides again."
                .to_owned(),
        );
    }
    if entry.attempts > 0 || entry.last_error.is_some() {
        said.push(failed(entry));
    }
    if let Some(Crossing {
        event_id,
        stream_seq,
        stored_at,
        plays: count,
    }) = &entry.cause
    {
        said.push(format!(
            "Event {event_id}, which the stream stored at {} as message {stream_seq}, moved the user across a threshold: the playlist had \
             {} right after it.",
            moment(*stored_at),
            plays(*count)
        ));
    }
    said
}

fn place(entry: &Queued, now: OffsetDateTime) -> String {
    if let Some(parked) = entry.parked_at {
        return format!("is parked since {}: it waits for the operator.", moment(parked));
    }
    if let Some(mark) = &entry.held_by {
        let by = match mark.as_str() {
            STREAM_LOSS => "by the loss of a stream",
            IMPORT => "by an import",
            _ => "by a brake",
        };
        return format!(
            "is held {by}: it waits for the operator, enqueued since {}.",
            moment(entry.enqueued_at)
        );
    }
    match entry.lease_until {
        Some(until) if until > now => {
            return format!("has an attempt in flight; its lease ends at {}.", moment(until));
        }
        Some(until) => {
            return format!(
                "lost an attempt, whose lease ended at {} without a result; the next one begins as soon as a worker has a turn.",
                moment(until)
            );
        }
        None => {}
    }
    let (due, what) = (moment(entry.due_at), entry.waits_for());
    if entry.enqueued_at > now {
        format!("is decided again at {due}, when a period of a rule or a pin ends.")
    } else if entry.due_at > now {
        format!("is in the work queue ({what}); the next attempt begins at {due} at the earliest.")
    } else {
        format!("is in the work queue ({what}), and due since {due}.")
    }
}

fn failed(entry: &Queued) -> String {
    let at = entry
        .failed_at
        .map_or_else(String::new, |at| format!(", the last one at {}", moment(at)));
    let why = entry
        .last_error
        .as_deref()
        .map_or_else(String::new, |why| format!(": {}", plain(why)));
    format!("Failed attempts in a row: {}{at}{why}", entry.attempts)
}

fn held(mark: &str) -> Vec<String> {
    if mark == IMPORT {
        let way = "To let the change pass, once the file is imported: rolekeeper import FILE --release, or rolekeeper apply with its plan";
        return vec![way.to_owned()];
    }
    let of_brake = |changes: &&str| {
        let drop = if *changes == "gone" {
            String::new()
        } else {
            format!("; to give it up: rolekeeper brake drop {changes}")
        };
        format!("To let the change pass: rolekeeper brake release {changes}{drop}")
    };
    brakes_of(mark).iter().map(of_brake).collect()
}

/// The sentences about the deployment: all that stops or holds changes.
#[must_use]
pub fn obstacles(system: &System) -> Vec<String> {
    let mut said = stopped(system);
    said.extend(system.brakes.iter().map(engaged));
    said
}

/// The sentences about the deployment, as far as they concern a change of this user.
pub(super) fn obstacles_of(system: &System, queue: &[Queued], pending: &[RoleChange]) -> Vec<String> {
    let mut said = stopped(system);
    let held = queue.iter().filter_map(|entry| entry.held_by.as_deref());
    let held: Vec<&str> = held.flat_map(brakes_of).copied().collect();
    for brake in &system.brakes {
        let concerns = |change: &RoleChange| word(*change) == brake.changes;
        if held.contains(&brake.changes) || pending.iter().any(concerns) {
            said.push(engaged(brake));
        }
    }
    if let Some(since) = system.to_be_compared_since {
        said.push(format!(
            "Rules or limits changed at {}; the comparison of all users has not reached this user yet.",
            moment(since)
        ));
    }
    said
}

fn engaged(brake: &EngagedBrake) -> String {
    format!(
        "The brake on {} is engaged since {}: rolekeeper brake shows the held changes.",
        brake.changes,
        moment(brake.since)
    )
}

/// The sentences about all that concerns every user.
fn stopped(system: &System) -> Vec<String> {
    let mut said = Vec::new();
    if !system.worker_alive {
        said.push(
            "No worker has shown a sign of life for 30 s: nothing is counted, decided or written.".to_owned(),
        );
    }
    if let Some(paused) = &system.paused {
        let reason = paused
            .reason
            .as_deref()
            .map_or_else(String::new, |why| format!(" ({})", plain(why)));
        said.push(format!(
            "Attempts and writes are paused since {}{reason}, until `rolekeeper resume`.",
            moment(paused.since)
        ));
    }
    if let Some(off) = &system.writes_off {
        said.push(format!(
            "Writes are off since {}, by {} ({}): changes are decided and not written, until `rolekeeper limits set writes on`.",
            moment(off.since),
            plain(&off.by),
            plain(&off.why)
        ));
    }
    for loss in &system.losses {
        said.push(format!(
            "Stream {} has lost events ({}, found at {}): counts may be too low, and no role is revoked until \
             `rolekeeper accept-stream`.",
            loss.stream,
            loss.kind,
            moment(loss.found_at)
        ));
    }
    if system.restored {
        said.push(
            "The database knows fewer role changes than were announced, so no role is revoked until `rolekeeper resume --why`."
                .to_owned(),
        );
    }
    said
}
