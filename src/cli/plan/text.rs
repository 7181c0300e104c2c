//! The human form of a plan.
//!
//! Owns its sentences and tables. Must never say anything that the plan does not have.

use std::fmt::Write as _;

use super::made::Made;
use crate::cli::table::{Side, Table};
use rolekeeper_domain::brake::word;
use rolekeeper_domain::explanation::{moment, plain};
use rolekeeper_domain::plan::RoleChange;
use rolekeeper_domain::preview::{Change, Mark, Summary};
use rolekeeper_domain::rule::offer::{Verdict, changes};

const INDENT: &str = "  ";

/// The summary: how many users, of which kinds, and what the operator should know before the changes are made.
pub(super) fn summary(made: &Made<'_>) -> String {
    let mut text = head(made);
    let mut table = Table::new([
        ("role", Side::Left),
        ("change", Side::Left),
        ("users", Side::Right),
        ("marks", Side::Left),
    ]);
    for (kind, shown) in &made.summary.kinds {
        table.row([
            kind.role.clone(),
            change_word(kind.change).to_owned(),
            shown.users.to_string(),
            marks(&kind.marks),
        ]);
    }
    if !made.summary.kinds.is_empty() {
        let _ = write!(text, "\n{}", table.lines(INDENT));
    }
    let notes = notes(made);
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "{INDENT}{note}");
    }
    if !made.summary.kinds.is_empty() {
        text.push('\n');
    }
    text
}

fn head(made: &Made<'_>) -> String {
    let users = match made.summary.users {
        0 => "No user".to_owned(),
        1 => "1 user".to_owned(),
        users => format!("{users} users"),
    };
    let (version, at) = (made.header.in_force.version, moment(made.header.made_at));
    let Some(proposed) = made.proposed else {
        return format!("{users} would change under the rules in force (version {version}), as of {at}.\n");
    };
    let mut text = format!(
        "{users} would change under the proposed rules (version {}), in place of version {version}, as of {at}.\n",
        proposed.version
    );
    let before = Some(&made.in_force.rules);
    let lines = changes(before, &proposed.rules);
    if lines.is_empty() {
        let _ = writeln!(text, "{INDENT}the rules in force have the same content");
    }
    for line in lines {
        let _ = writeln!(text, "{INDENT}{line}");
    }
    text
}

/// The sentences below the table.
fn notes(made: &Made<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for ((role, why), users) in &made.summary.left {
        notes.push(format!("{role}: {} (users: {users})", why.words()));
    }
    for (change, holders) in made.engaging() {
        let (what, limits) = (word(change), made.brake.of(change));
        notes.push(format!(
            "The brake on {what} would engage (users: {}, holders: {holders}, limits: {} and {} %): from then on all {what} are held \
             until `rolekeeper brake release {what}`.",
            made.summary.asking(change),
            limits.number,
            limits.share * 100.0
        ));
    }
    if let Some(proposed) = made.proposed {
        let after = proposed.rules.as_slice();
        for rule in made.in_force.rules.as_slice() {
            if after.iter().all(|one| one.role != rule.role) {
                notes.push(format!(
                    "{} leaves the rules: its holders keep it, and rolekeeper no longer changes it.",
                    rule.role
                ));
            }
        }
    }
    if let Some(paused) = made.paused {
        let reason = paused.reason.as_deref();
        let reason = reason.map_or_else(String::new, |why| format!(" ({})", plain(why)));
        notes.push(format!(
            "Attempts and writes are paused since {}{reason}: no change is made until `rolekeeper resume`.",
            moment(paused.since)
        ));
    }
    if !made.writes {
        notes.push(
            "Writes are off: changes are decided and not written, until `rolekeeper limits set writes on`."
                .to_owned(),
        );
    }
    match made.verdict() {
        None | Some(Verdict::PutInForce) => {}
        Some(Verdict::Same) => notes.push("These rules are in force already.".to_owned()),
        Some(Verdict::Refused(why) | Verdict::Left(why)) => {
            notes.push(format!("These rules cannot be put in force: {why}."));
        }
    }
    if let Some(path) = made.kept {
        notes.push(format!(
            "The plan is in {path}. To apply it: rolekeeper apply {path} --why TEXT"
        ));
    }
    notes
}

/// The first users of each kind.
pub(super) fn first(summary: &Summary) -> String {
    if summary.kinds.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("user", Side::Left),
        ("role", Side::Left),
        ("change", Side::Left),
        ("why", Side::Left),
        ("marks", Side::Left),
    ]);
    let mut whole = true;
    for shown in summary.kinds.values() {
        whole &= shown.users == shown.first.len() as u64;
        for (user, change) in &shown.first {
            table.row([
                user.clone(),
                change.role.clone(),
                change_word(change.change).to_owned(),
                change.why.clone(),
                marks(&change.marks),
            ]);
        }
    }
    let mut text = table.lines(INDENT);
    if !whole {
        let _ = writeln!(text, "{INDENT}The first of each kind are shown; --all shows all.");
    }
    text
}

/// One change in a line.
pub(super) fn line(user: &str, change: &Change) -> String {
    let (word, marks) = (change_word(change.change), marks(&change.marks));
    let marks = if marks.is_empty() {
        marks
    } else {
        format!("  ({marks})")
    };
    plain(&format!(
        "{INDENT}{user}  {word}s {}  {}{marks}",
        change.role, change.why
    ))
}

fn change_word(change: RoleChange) -> &'static str {
    match change {
        RoleChange::Granted => "gain",
        RoleChange::Revoked => "lose",
    }
}

fn marks(marks: &[Mark]) -> String {
    let words: Vec<&str> = marks.iter().map(|mark| mark.words()).collect();
    words.join(", ")
}
