//! The reason of a change, in some words.
//!
//! Must never decide: the evaluation has decided.

use crate::evaluation::Role;
use crate::explanation::plays;
use crate::rule::{Measure, Rule, Shown};

/// The reason why the role is wanted or not.
pub(super) fn of(role: &Role<'_>, plays: i64, shown: Option<Shown>) -> String {
    let rule = role.rule;
    if let Some(pin) = &role.pin {
        return format!("pinned {}", if pin.on { "on" } else { "off" });
    }
    if role.suppressed {
        return "its grant is suppressed".to_owned();
    }
    if let Some(unmet) = unmet(rule, shown) {
        return format!("the profile does not meet {unmet}");
    }
    let count = counted(rule, plays);
    let (grant_at, revoke_below) = (rule.grant_at, rule.revoke_below);
    let wanted = role.wanted() || role.unsure;
    if wanted && plays >= grant_at {
        format!("{count}, at least {grant_at}")
    } else if !wanted && plays < revoke_below {
        format!("{count}, below {revoke_below}")
    } else if plays < revoke_below {
        format!("{count}, below {revoke_below}, but the rule keeps a granted role")
    } else {
        let last = if wanted { "gave" } else { "did not give" };
        format!(
            "{count}, from {revoke_below} to below {grant_at}, where the last decision stays: it {last} the role"
        )
    }
}

fn counted(rule: &Rule, number: i64) -> String {
    let count = plays(number);
    match rule.of {
        Measure::BestPlaylist => count,
        Measure::AllPlaylists => format!("{count} of all playlists"),
    }
}

/// The conditions that the profile does not meet.
fn unmet(rule: &Rule, shown: Option<Shown>) -> Option<String> {
    let shown = shown?;
    let unmet = rule.only_if.iter().filter(|condition| !condition.is_met(shown));
    let names: Vec<&str> = unmet.map(|condition| condition.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
