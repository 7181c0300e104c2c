//! The canonical text form of rules.
//!
//! Owns the text behind the fingerprint. It must never change for rules that an earlier release could write: all
//! workers under the same rules have the same fingerprint, whatever their release. The form is a rules file: the oldest
//! `format` that has all their fields, then the rules by role, one field per line in the order below. Fields at their default are left out.
//! Durations are in whole seconds (`"90s"`) or else in nanoseconds (`"1500000000ns"`). A field of a later release is
//! added at the end of a rule, and left out at its default.

use std::fmt::Write as _;
use std::time::Duration;

use crate::hash::hash;

use super::one::{Measure, OnExternalRemoval, Revoke, Rule};

/// The rules in canonical form.
pub(super) fn text(rules: &[Rule]) -> String {
    let mut rules: Vec<&Rule> = rules.iter().collect();
    rules.sort_by(|a, b| a.role.cmp(&b.role));
    let format = rules.iter().map(|rule| rule.format()).max().unwrap_or(1);
    let mut text = format!("format = {format}\n");
    for rule in rules {
        text.push_str(&one(rule));
    }
    text
}

/// One rule in canonical form.
pub(super) fn one(rule: &Rule) -> String {
    let Rule {
        role,
        of,
        grant_at,
        revoke_below,
        min_hold,
        grace,
        revoke,
        manual,
        only_if,
    } = rule;
    let mut text = String::from("\n[[rule]]\n");
    let mut line = |field: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{field} = {value}");
    };
    line("role", &quoted(role));
    if *of == Measure::AllPlaylists {
        line("of", &"\"all_playlists\"");
    }
    line("grant_at", grant_at);
    line("revoke_below", revoke_below);
    if *min_hold > Duration::ZERO {
        line("min_hold", &span(*min_hold));
    }
    if *grace > Duration::ZERO {
        line("grace", &span(*grace));
    }
    if *revoke == Revoke::Never {
        line("revoke", &"\"never\"");
    }
    match manual {
        OnExternalRemoval::Restore => {}
        OnExternalRemoval::Alert => line("manual", &"\"alert\""),
        OnExternalRemoval::Respect => line("manual", &"\"respect\""),
    }
    if !only_if.is_empty() {
        let mut names: Vec<String> = only_if
            .iter()
            .map(|one| format!("\"{}\"", one.as_str()))
            .collect();
        names.sort();
        line("only_if", &format!("[{}]", names.join(", ")));
    }
    text
}

/// SHA-256 of a canonical form, in hex.
#[must_use]
pub fn fingerprint(canonical: &str) -> String {
    hash(canonical).to_string()
}

/// A role as TOML text; control characters were refused earlier.
fn quoted(role: &str) -> String {
    format!("\"{}\"", role.replace('\\', "\\\\").replace('"', "\\\""))
}

fn span(span: Duration) -> String {
    if span.subsec_nanos() == 0 {
        format!("\"{}s\"", span.as_secs())
    } else {
        format!("\"{}ns\"", span.as_nanos())
    }
}
