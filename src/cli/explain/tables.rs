//! The tables of an explanation, but for that of the roles.
//!
//! Owns their columns. Must never say anything that the value does not have.

use std::fmt::Write as _;

use time::OffsetDateTime;

use crate::cli::table::{Side, Table};
use rolekeeper_domain::explanation::{Decision, Id, Page, PinRow, Playlists, Write, list, moment, outcome};

/// Indentation below a heading.
pub(super) const INDENT: &str = "  ";

fn time(at: Option<OffsetDateTime>) -> String {
    at.map_or_else(|| "-".to_owned(), moment)
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
        let is = id.is.words();
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
        table.row([
            pin.user_id.clone(),
            pin.role.clone(),
            pin.state(now).to_owned(),
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
            row.cause(),
            row.user_id.clone(),
        ]);
    }
    page(
        &table,
        decisions,
        "Rolekeeper has decided no change of this user's roles.",
    )
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
        table.row([
            moment(write.sent_at),
            list(&write.read_roles),
            list(&write.wrote_roles),
            write.outcome().to_owned(),
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
