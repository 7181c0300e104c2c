//! The output of a plan: JSON lines, or text for the operator.
//!
//! Owns the order: the summary first, then the changes. Must never keep all changes in memory.

use anyhow::Result;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::draft::Whole;
use super::made::Made;
use super::text;
use crate::cli::output::{self, say};
use rolekeeper_domain::brake::word;
use rolekeeper_domain::preview::Change;
use rolekeeper_domain::rule::offer::Verdict;

/// Shows a plan; `all` has the changes to show in place of the first of each kind.
pub(super) fn show(made: &Made<'_>, as_json: bool, all: Option<Whole>) -> Result<()> {
    if as_json {
        say!("{}", summary(made));
    } else {
        output::to_stdout(format_args!("{}", text::summary(made)));
    }
    let one = |user: &str, change: &Change| {
        if as_json {
            say!("{}", line(user, change));
        } else {
            say!("{}", text::line(user, change));
        }
    };
    match all {
        Some(all) => all.for_each(|user| user.changes.iter().for_each(|change| one(&user.user, change)))?,
        None if as_json => {
            let first = made.summary.kinds.values().flat_map(|shown| &shown.first);
            first.for_each(|(user, change)| one(user, change));
        }
        None => output::to_stdout(format_args!("{}", text::first(made.summary))),
    }
    Ok(())
}

fn summary(made: &Made<'_>) -> Value {
    let kinds = made.summary.kinds.iter().map(|(kind, shown)| {
        json!({"role": kind.role, "change": kind.change, "marks": kind.marks, "users": shown.users})
    });
    let left = made.summary.left.iter();
    let left = left.map(|((role, why), users)| json!({"role": role, "why": why, "users": users}));
    let brakes = made.engaging().into_iter().map(|(change, holders)| {
        let limits = made.brake.of(change);
        json!({
            "changes": word(change), "users": made.summary.asking(change), "holders": holders,
            "number": limits.number, "share": limits.share,
        })
    });
    let refused = match made.verdict() {
        Some(Verdict::Refused(why) | Verdict::Left(why)) => Some(why),
        None | Some(Verdict::PutInForce | Verdict::Same) => None,
    };
    json!({
        "at": made.header.made(),
        "rules": made.header.in_force,
        "proposed": made.proposed.map(|rules| json!({"version": rules.version, "fingerprint": rules.rules.fingerprint()})),
        "refused": refused,
        "users": made.summary.users,
        "kinds": kinds.collect::<Vec<_>>(),
        "left": left.collect::<Vec<_>>(),
        "brakes": brakes.collect::<Vec<_>>(),
        "paused": made.paused.map(|paused| paused.since.format(&Rfc3339).unwrap_or_default()),
        "writes": made.writes,
        "plan": made.kept,
    })
}

fn line(user: &str, change: &Change) -> Value {
    let Change {
        role,
        change,
        plays,
        why,
        marks,
    } = change;
    json!({"user": user, "role": role, "change": change, "plays": plays, "why": why, "marks": marks})
}
