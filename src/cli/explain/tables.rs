//! The tables of an explanation, but for that of the roles.
//!
//! Owns their columns. Must never say anything that the value does not have.

use std::fmt::Write as _;

use serde_json::Value;
use time::OffsetDateTime;

use crate::cli::table::{Side, Table};
use rolekeeper_domain::explanation::{
    Decision, Id, IdKind, Page, PinRow, Playlists, Write, moment, outcome, reason,
};

/// Indentation below a heading.
pub(super) const INDENT: &str = "  ";

fn time(at: Option<OffsetDateTime>) -> String {
    at.map_or_else(|| "-".to_owned(), moment)
}

/// The names in an array of texts; any other value as JSON.
pub(super) fn list(roles: &Value) -> String {
    let names = roles
        .as_array()
        .map(|roles| roles.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    match names.flatten() {
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.join(", "),
        None => roles.to_string(),
    }
}

pub(super) fn playlists(playlists: &Playlists) -> String {
    if playlists.count + playlists.deleted == 0 {
        return format!("{INDENT}The user has saved no playlist.\n");
    }
    let mut text = format!(
        "{INDENT}Playlists that count: {}, with {} plays together; deleted: {}\n",
        playlists.count, playlists.total, playlists.deleted
    );
    if !playlists.most_played.is_empty() {
        let mut table = Table::new([
            ("playlist", Side::Left),
            ("plays", Side::Right),
            ("owner", Side::Left),
        ]);
        for playlist in &playlists.most_played {
            table.row([
                playlist.playlist_id.clone(),
                playlist.plays.to_string(),
                playlist.owner_id.clone(),
            ]);
        }
        text.push_str(&table.lines(INDENT));
    }
    text
}

pub(super) fn ids(ids: &[Id]) -> String {
    if ids.len() < 2 {
        return String::new();
    }
    let mut table = Table::new([
        ("id", Side::Left),
        ("is", Side::Left),
        ("since", Side::Left),
        ("by", Side::Left),
    ]);
    for id in ids {
        let is = match id.is {
            IdKind::Primary => "the primary",
            IdKind::Linked => "linked to it",
            IdKind::LinkedInDoubt => "linked to it; the link may have ended",
            IdKind::Moved => "moved to it",
            IdKind::MovedNotStored => "moved to it, after the next attempt",
            IdKind::FormerlyLinked => "linked until the account was deleted",
            IdKind::FormerAccount => "the deleted account that it was linked to",
        };
        let why = id.why.clone().unwrap_or_default();
        table.row([id.id.clone(), is.to_owned(), time(id.since), why]);
    }
    table.lines(INDENT)
}

pub(super) fn pins(pins: &[PinRow], now: OffsetDateTime) -> String {
    if pins.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("id", Side::Left),
        ("role", Side::Left),
        ("state", Side::Left),
        ("until", Side::Left),
        ("pinned at", Side::Left),
        ("by", Side::Left),
        ("why", Side::Left),
    ]);
    for pin in pins {
        let ended = pin.until.is_some_and(|until| until <= now);
        let state = match (ended, pin.on) {
            (true, _) => "ended",
            (false, true) => "on",
            (false, false) => "off",
        };
        table.row([
            pin.user_id.clone(),
            pin.role.clone(),
            state.to_owned(),
            time(pin.until),
            moment(pin.at),
            pin.by.clone(),
            pin.why.clone(),
        ]);
    }
    table.lines(INDENT)
}

pub(super) fn decisions(decisions: &Page<Decision>) -> String {
    let mut table = Table::new([
        ("decided at", Side::Left),
        ("role", Side::Left),
        ("change", Side::Left),
        ("count", Side::Right),
        ("outcome", Side::Left),
        ("done at", Side::Left),
        ("cause", Side::Left),
        ("id", Side::Left),
    ]);
    for row in &decisions.rows {
        table.row([
            moment(row.decided_at),
            row.role.clone(),
            row.change.clone(),
            row.plays.to_string(),
            outcome(row.outcome.as_deref(), row.attempted_at.is_some()).to_owned(),
            time(row.completed_at),
            cause(row),
            row.user_id.clone(),
        ]);
    }
    page(
        &table,
        decisions,
        "Rolekeeper has decided no change of this user's roles.",
    )
}

fn cause(row: &Decision) -> String {
    match (&row.reason, &row.event_id, &row.client_id) {
        (Some(why), ..) => reason(why).to_owned(),
        (None, Some(event), _) => {
            let seq = row
                .event_seq
                .map_or_else(String::new, |seq| format!(" as message {seq}"));
            format!("event {event}, stored at {}{seq}", time(row.event_stored_at))
        }
        (None, None, Some(client)) => format!("client {client}"),
        (None, None, None) => "no event".to_owned(),
    }
}

pub(super) fn writes(writes: &Page<Write>) -> String {
    let mut table = Table::new([
        ("sent at", Side::Left),
        ("roles before", Side::Left),
        ("roles sent", Side::Left),
        ("outcome", Side::Left),
        ("done at", Side::Left),
        ("id", Side::Left),
    ]);
    for write in &writes.rows {
        let outcome = match (write.closed.as_deref(), write.answered, write.completed_at) {
            (Some("refused"), ..) => "refused by Auth0",
            (Some(_), ..) => "not seen applied",
            (None, true, Some(_)) => "Auth0 responded",
            (None, false, Some(_)) => "seen applied",
            (None, _, None) => "not known yet",
        };
        table.row([
            moment(write.sent_at),
            list(&write.read_roles),
            list(&write.wrote_roles),
            outcome.to_owned(),
            time(write.completed_at),
            write.user_id.clone(),
        ]);
    }
    page(&table, writes, "No write to Auth0 is stored.")
}

/// A table of which there may be older rows.
fn page<T, const COLUMNS: usize>(table: &Table<COLUMNS>, page: &Page<T>, none: &str) -> String {
    if page.rows.is_empty() {
        return format!("{INDENT}{none}\n");
    }
    let mut text = table.lines(INDENT);
    if page.more {
        let _ = writeln!(
            text,
            "{INDENT}The newest {} are shown; --limit shows more.",
            page.rows.len()
        );
    }
    text
}
