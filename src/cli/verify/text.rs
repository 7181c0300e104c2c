//! A comparison for people: summaries, tables of differences, and what cannot be known.
//!
//! Owns the texts. Must never leave out what could not be checked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::verified::Verified;
use crate::cli::table::{Side, Table};
use crate::flow::verify::{
    CountDifference, Counts, NotChecked, RoleDifference, Roles, State, SumDifference, Sums,
};
use rolekeeper_domain::explanation::{moment, plain};
use rolekeeper_domain::plural::noun;

/// Limits of the comparison of counts.
pub(super) const NOT_KNOWN_OF_COUNTS: [&str; 2] = [
    "A count that was wrong when the base of its partition was made is not found: nothing before a base is checked",
    "Which messages were repeats, and which named an erased user, is what the fold decided; it is not checked again",
];
/// Limits of the comparison of roles.
pub(super) const NOT_KNOWN_OF_ROLES: [&str; 1] =
    ["A holder that Postgres does not know is not read: `rolekeeper discover` finds such holders"];

/// The whole text, with at most `most` differences of each kind.
pub(super) fn of(verified: &Verified, most: usize) -> String {
    let mut text = String::new();
    if let Some(counts) = &verified.counts {
        text.push_str(&of_counts(counts, most));
    }
    if let Some(sums) = &verified.sums {
        text.push_str(&of_sums(sums, most));
    }
    if let Some(roles) = &verified.roles {
        text.push_str(&of_roles(roles, most));
    }
    text.push_str("\nNot known:\n");
    for sentence in &verified.not_known {
        let _ = writeln!(text, "  {sentence}.");
    }
    text
}

fn differ(number: u64) -> &'static str {
    noun(number, "differs", "differ")
}

fn of_counts(counts: &Counts, most: usize) -> String {
    let mut text = format!(
        "Counts: {} {} of {} {} in {} {}",
        counts.differing,
        differ(counts.differing),
        counts.playlists,
        noun(counts.playlists, "playlist", "playlists"),
        counts.partitions,
        noun(counts.partitions, "partition", "partitions")
    );
    if let Some(since) = counts.since {
        let _ = write!(
            text,
            "; {} messages counted again, since {} at the earliest",
            counts.messages,
            moment(since)
        );
    }
    text.push('\n');
    let mut table = Table::new([
        ("playlist", Side::Left),
        ("partition", Side::Right),
        ("by the stream", Side::Left),
        ("in Postgres", Side::Left),
    ]);
    for one in counts.differences.iter().take(most) {
        let CountDifference {
            playlist_id,
            partition,
            counted,
            stored,
        } = one;
        table.row([
            playlist_id.clone(),
            partition.to_string(),
            state(counted, stored),
            state(stored, counted),
        ]);
    }
    text.push_str(&listed(
        &table.lines("  "),
        (counts.differences.len(), counts.differing),
        most,
    ));
    text.push_str(&not_checked(&counts.not_checked));
    text
}

fn of_sums(sums: &Sums, most: usize) -> String {
    let mut text = format!(
        "Sums of all playlists: {} {} of those of {} {}\n",
        sums.differing,
        differ(sums.differing),
        sums.users,
        noun(sums.users, "user", "users")
    );
    let mut table = Table::new([
        ("user", Side::Left),
        ("playlists together", Side::Right),
        ("stored sum", Side::Right),
    ]);
    for one in sums.differences.iter().take(most) {
        let SumDifference {
            user_id,
            counted,
            stored,
        } = one;
        table.row([user_id.clone(), counted.to_string(), stored.to_string()]);
    }
    text.push_str(&listed(
        &table.lines("  "),
        (sums.differences.len(), sums.differing),
        most,
    ));
    text
}

fn of_roles(roles: &Roles, most: usize) -> String {
    let mut text = format!(
        "Roles: {} {} of those of {} {} whose profile was read\n",
        roles.differing,
        differ(roles.differing),
        roles.users,
        noun(roles.users, "holder", "holders")
    );
    let mut table = Table::new([
        ("user", Side::Left),
        ("role", Side::Left),
        ("in Postgres", Side::Left),
        ("at Auth0", Side::Left),
    ]);
    let has = |has: bool| if has { "yes" } else { "no" };
    for one in roles.differences.iter().take(most) {
        let RoleDifference {
            user_id,
            role,
            stored,
            at_auth0,
        } = one;
        table.row([
            user_id.clone(),
            role.clone(),
            has(*stored).to_owned(),
            at_auth0.map_or("no such user", has).to_owned(),
        ]);
    }
    text.push_str(&listed(
        &table.lines("  "),
        (roles.differences.len(), roles.differing),
        most,
    ));
    if roles.waiting > 0 {
        let _ = writeln!(
            text,
            "  {} {} in the work queue: the worker is about to read {}",
            roles.waiting,
            noun(roles.waiting, "user differs, and waits", "users differ, and wait"),
            noun(roles.waiting, "it", "them")
        );
    }
    for one in roles.not_checked.iter().take(most) {
        let _ = writeln!(
            text,
            "  {} was not compared: {}",
            plain(&one.user_id),
            plain(&one.why)
        );
    }
    text
}

/// A table if it has rows, and how many rows it leaves out.
fn listed(table: &str, (listed, all): (usize, u64), most: usize) -> String {
    let shown = listed.min(most);
    match (shown, all) {
        (_, 0) => String::new(),
        (0, _) => "  none shown; --limit shows them\n".to_owned(),
        (shown, all) if shown as u64 == all => table.to_owned(),
        (shown, all) => format!("{table}  {shown} of {all} shown; --limit shows more\n"),
    }
}

/// The partitions that were not checked, by reason.
pub(in crate::cli) fn not_checked(all: &[NotChecked]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in all {
        by_reason
            .entry(&one.why)
            .or_default()
            .push(one.partition.to_string());
    }
    let mut text = String::new();
    for (why, partitions) in by_reason {
        let named = if partitions.len() > 8 {
            String::new()
        } else {
            format!(" ({})", partitions.join(", "))
        };
        let _ = writeln!(
            text,
            "  {} {}{named} {} not checked: {why}",
            partitions.len(),
            noun(partitions.len(), "partition", "partitions"),
            noun(partitions.len(), "was", "were")
        );
    }
    text
}

/// The parts of a state in which the other one differs.
fn state(one: &State, other: &State) -> String {
    let mut parts = Vec::new();
    if one.plays != other.plays {
        parts.push(format!("{} plays", one.plays));
    }
    if one.deleted != other.deleted {
        parts.push(if one.deleted { "deleted" } else { "not deleted" }.to_owned());
    }
    if one.owner_id != other.owner_id {
        parts.push(
            one.owner_id
                .as_deref()
                .map_or_else(|| "no owner".to_owned(), |owner| format!("owner {owner}")),
        );
    }
    let times = [
        ("saved again", one.saved_again_at, other.saved_again_at),
        ("saved or deleted", one.changed_at, other.changed_at),
    ];
    for (what, at, other) in times {
        if at != other {
            parts.push(at.map_or_else(|| format!("never {what}"), |at| format!("{what} {}", moment(at))));
        }
    }
    parts.join(", ")
}
