//! The human form of evidence.
//!
//! Owns the summary and the lines about one change. Must never print a control character: values come from outside.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use time::UtcDateTime;
use time::format_description::well_known::Rfc3339;

use super::made::{Made, SHOWN};
use rolekeeper_domain::evidence::{End, Header, Line, OfOperator};
use rolekeeper_domain::explanation::plain;

/// Members of a record, with their headings.
const MEMBERS: [(&str, &str); 13] = [
    ("change_id", "change id"),
    ("rule", "rule"),
    ("plays", "count"),
    ("event_id", "event"),
    ("event_stored_at", "event stored"),
    ("event_seq", "event seq"),
    ("decided_at", "decided"),
    ("attempted_at", "attempted"),
    ("completed_at", "completed"),
    ("outcome", "outcome"),
    ("reason", "reason"),
    ("client_id", "client"),
    ("log_id", "log record"),
];

/// The lines about a change.
pub(super) fn of(line: &Line) -> String {
    let record = line.record.as_ref().unwrap_or(&Value::Null);
    let user = line.user_id.as_deref().unwrap_or_default();
    let mut text = format!(
        "{}  {} {}: {}\n",
        line.position,
        plain(&value(&record["change"])),
        plain(&value(&record["role"])),
        plain(user)
    );
    for (member, heading) in MEMBERS {
        if !record[member].is_null() {
            let _ = writeln!(text, "    {heading:12}  {}", plain(&value(&record[member])));
        }
    }
    for act in &line.acts {
        let _ = writeln!(text, "    {:12}  {}", "operator", plain(&said(act)));
    }
    text.push('\n');
    text
}

fn said(act: &OfOperator) -> String {
    let at = UtcDateTime::from(act.at).format(&Rfc3339).unwrap_or_default();
    let why = act
        .why
        .as_deref()
        .map_or_else(String::new, |why| format!(" ({why})"));
    format!(
        "{at}  {} as {}: {}: {}{why}",
        act.by, act.db_user, act.command, act.outcome
    )
}

/// A text without its quotes; any other value as JSON.
fn value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The summary, behind the shown changes.
pub(super) fn summary(made: &Made, file: Option<&Path>) -> String {
    let mut text = made.shown.clone();
    let _ = writeln!(text, "{}", period(&made.header));
    let kinds: Vec<String> = made
        .kinds
        .iter()
        .map(|(kind, number)| format!("{number} {kind}"))
        .collect();
    let kinds = if kinds.is_empty() {
        String::new()
    } else {
        format!(" ({})", kinds.join(", "))
    };
    let _ = writeln!(text, "  changes  {}{kinds}", made.end.changes);
    text.push_str(&chain(&made.header, &made.end));
    match file {
        Some(file) => {
            let _ = writeln!(text, "  file     {}, sha256 {}", file.display(), made.end.sha256);
        }
        None if made.end.changes > SHOWN => {
            let _ = writeln!(
                text,
                "  at most {SHOWN} changes are shown; --output FILE writes all"
            );
        }
        None => {}
    }
    text
}

/// The period of a header.
pub(super) fn period(header: &Header) -> String {
    let [from, to] =
        [header.from, header.to].map(|at| UtcDateTime::from(at).format(&Rfc3339).unwrap_or_default());
    format!("Role changes completed from {from} to {to}")
}

/// The start and the end of the chain.
pub(super) fn chain(header: &Header, end: &End) -> String {
    let Some((start, end)) = header.start.zip(end.end) else {
        return String::new();
    };
    format!(
        "  start    after position {}, hash {}\n  end      position {}, hash {}\n",
        start.position, start.hash, end.position, end.hash
    )
}
