//! The human form of an explanation: sentences and tables.
//!
//! Owns the order of the sections and their headings. Must never say anything that the value does not have.

use std::fmt::Write as _;

use super::tables::{self, INDENT};
use crate::cli::table::{Side, Table};
use rolekeeper_domain::explanation::{Account, Explanation, RoleExplained, moment, plain, yes_no};

/// The whole text.
pub(super) fn of(explanation: &Explanation) -> String {
    let account = explanation
        .account
        .as_ref()
        .map(Account::sentences)
        .unwrap_or_default();
    let mut text = head(explanation);
    section(&mut text, "Roles", &roles(&explanation.roles));
    for role in &explanation.roles {
        section(&mut text, &format!("Why {}", role.role), &sentences(&role.why));
    }
    section(&mut text, "Delays", &sentences(&explanation.obstacles));
    section(&mut text, "Work queue", &sentences(&explanation.waits));
    section(&mut text, "Profile at Auth0", &sentences(&account));
    section(&mut text, "Playlists", &tables::playlists(&explanation.playlists));
    section(&mut text, "Ids of the person", &tables::ids(&explanation.ids));
    section(
        &mut text,
        "Pins",
        &tables::pins(&explanation.pins, explanation.at),
    );
    section(
        &mut text,
        "Decisions, newest first",
        &tables::decisions(&explanation.decisions),
    );
    section(
        &mut text,
        "Writes to Auth0, newest first",
        &tables::writes(&explanation.writes),
    );
    section(&mut text, "Not known", &sentences(&explanation.not_known));
    text
}

fn head(explanation: &Explanation) -> String {
    let Explanation {
        user_id, asked_for, ..
    } = explanation;
    let mut text = format!("{user_id} as of {}", moment(explanation.at));
    if let Some(rules) = &explanation.rules {
        let by = rules.put_by.as_deref().unwrap_or("an earlier release");
        let _ = write!(
            text,
            ", under rules version {} (since {}, by {by})",
            rules.version,
            moment(rules.since)
        );
    }
    text.push('\n');
    if asked_for != user_id {
        let _ = writeln!(
            text,
            "{asked_for} is an id of this person, whose roles are those of {user_id}."
        );
    }
    text
}

/// Adds a section; an empty one is left out.
fn section(text: &mut String, heading: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(text, "\n{heading}\n{body}");
    }
}

fn sentences(said: &[String]) -> String {
    let mut text = String::new();
    for sentence in said {
        let _ = writeln!(text, "{INDENT}{}", plain(sentence));
    }
    text
}

fn roles(roles: &[RoleExplained]) -> String {
    if roles.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("role", Side::Left),
        ("holds", Side::Left),
        ("should hold", Side::Left),
        ("count", Side::Right),
        ("granted at", Side::Right),
        ("revoked below", Side::Right),
        ("decided by", Side::Left),
    ]);
    for role in roles {
        table.row([
            role.role.clone(),
            yes_no(role.holds).to_owned(),
            yes_no(Some(role.should_hold)).to_owned(),
            role.plays.to_string(),
            role.rule.grant_at.to_string(),
            role.rule.revoke_below.to_string(),
            role.decided_by.to_owned(),
        ]);
    }
    table.lines(INDENT)
}
