//! The reasons of a decision about one role, in sentences.
//!
//! Owns the words for thresholds, conditions, pins, removals and the last change. Must never decide: the evaluation has decided.

use super::stored::{Crossing, Decision, PinRow, Playlist};
use super::words::{moment, plain, plays, reason};
use crate::evaluation::Role;
use crate::removal::{Removal, RemovalState};
use crate::rule::{Condition, Measure, Revoke, Rule, Shown};
use time::OffsetDateTime;

/// The facts that the sentences need beside the evaluation.
pub(super) struct About<'a> {
    pub(super) user: &'a str,
    pub(super) plays: i64,
    pub(super) playlists: i64,
    pub(super) best: Option<&'a Playlist>,
    pub(super) shown: Option<Shown>,
    /// The last decision of the rule, or a grant under way.
    pub(super) wanted_before: bool,
    /// Whether the stored profile has the role.
    pub(super) in_profile: Option<bool>,
    pub(super) verified_at: Option<OffsetDateTime>,
    pub(super) pin: Option<&'a PinRow>,
    pub(super) forbidden: bool,
    pub(super) cause: Option<&'a Crossing>,
    pub(super) last_change: Option<&'a Decision>,
}

pub(super) fn counted(rule: &Rule, about: &About<'_>) -> String {
    let count = plays(about.plays);
    let what = match (rule.of, about.best) {
        (Measure::AllPlaylists, _) => match about.playlists {
            1 => format!("The user's only playlist has {count}"),
            several => format!("All {several} playlists together have {count}"),
        },
        (Measure::BestPlaylist, Some(best)) => {
            format!("The most played playlist, {}, has {count}", best.playlist_id)
        }
        (Measure::BestPlaylist, None) => "The user has no playlist that counts".to_owned(),
    };
    let end = match rule.revoke {
        Revoke::On => format!("revokes it below {}", rule.revoke_below),
        Revoke::Never => "never revokes it".to_owned(),
    };
    format!("{what}; the rule grants the role at {} and {end}.", rule.grant_at)
}

fn named(conditions: &[Condition]) -> String {
    let names = conditions.iter().map(|condition| condition.as_str());
    names.collect::<Vec<_>>().join(", ")
}

pub(super) fn conditions(rule: &Rule, about: &About<'_>) -> Option<String> {
    let all = named(&rule.only_if);
    let unmet = unmet(rule, about)?;
    Some(match unmet {
        None => format!(
            "The rule also requires {all}, and no whole profile is stored: the last decision stays until an attempt reads the profile."
        ),
        Some(unmet) if unmet.is_empty() => {
            format!("The profile, as last read, meets the conditions of the rule: {all}.")
        }
        Some(unmet) => {
            let kept = if about.wanted_before && rule.revoke == Revoke::Never {
                "; but the rule never revokes a granted role"
            } else {
                ", so the rule does not give the role, whatever the count"
            };
            format!(
                "The rule also requires {all}; the profile, as last read, does not meet {}{kept}.",
                named(&unmet)
            )
        }
    })
}

/// The conditions that the profile does not meet: `None` for a rule without conditions, `Some(None)` while no whole profile is known.
#[expect(
    clippy::option_option,
    reason = "no condition, an unknown profile, or the unmet ones"
)]
fn unmet(rule: &Rule, about: &About<'_>) -> Option<Option<Vec<Condition>>> {
    if rule.only_if.is_empty() {
        return None;
    }
    Some(about.shown.map(|shown| {
        let unmet = rule.only_if.iter().filter(|condition| !condition.is_met(shown));
        unmet.copied().collect()
    }))
}

/// The reason by the count; none where a condition decides.
pub(super) fn by_count(role: &Role<'_>, about: &About<'_>) -> Option<String> {
    let (rule, count, decision) = (role.rule, about.plays, &role.decision);
    if unmet(rule, about).is_some_and(|unmet| unmet.is_none_or(|unmet| !unmet.is_empty())) {
        return None;
    }
    let between = (rule.revoke_below..rule.grant_at).contains(&count);
    Some(match (decision.wanted, decision.below_since) {
        (true, _) if count >= rule.grant_at => {
            format!("The count reaches {}, so the rule gives the role.", rule.grant_at)
        }
        (true, _) if between => {
            "The count is between the thresholds, where the last decision stays: the rule keeps the role."
                .to_owned()
        }
        (true, Some(since)) => {
            let until = decision
                .again_at
                .map_or_else(String::new, |at| format!(" until {}", moment(at)));
            format!(
                "The count is below {} since {}; grace and min_hold of the rule keep the role{until}.",
                rule.revoke_below,
                moment(since)
            )
        }
        (true, None) => "The rule never revokes a granted role, however low the count is.".to_owned(),
        (false, _) if between => format!(
            "The count is between the thresholds, where the last decision stays: the rule does not give the role before {}.",
            plays(rule.grant_at)
        ),
        (false, _) => {
            let missing = rule.grant_at.saturating_sub(count);
            format!(
                "The count lacks {}, so the rule does not give the role.",
                plays(missing)
            )
        }
    })
}

pub(super) fn pinned(pin: &PinRow) -> String {
    let state = if pin.on { "on" } else { "off" };
    let until = pin
        .until
        .map_or_else(String::new, |until| format!(" until {}", moment(until)));
    format!(
        "A pin {state} of {} decides in place of the rule{until}: pinned at {} by {}: {}",
        pin.user_id,
        moment(pin.at),
        plain(&pin.by),
        plain(&pin.why)
    )
}

pub(super) fn suppressed() -> String {
    "Another client removed the role, or the operator dropped its grant from the brake: it is not granted until the count has \
     fallen below the threshold and reached it again."
        .to_owned()
}

pub(super) fn removed(removal: &Removal) -> String {
    let found = moment(removal.found_at);
    match removal.state {
        RemovalState::Waiting => {
            let until = removal
                .waits_until()
                .map_or_else(String::new, |at| format!(" until {}", moment(at)));
            format!(
                "An attempt missed the role at {found}. The rule respects a removal by hand, so a record of it is awaited{until}; \
                 without one the role is granted again."
            )
        }
        RemovalState::Held => format!(
            "Another client removed the role (found at {found}), and the brake on removals holds this: rolekeeper brake"
        ),
        RemovalState::Released => {
            format!("Another client removed the role (found at {found}); the next attempt pins it off.")
        }
    }
}

/// The last change of the role, and its cause.
pub(super) fn changed(last: &Decision) -> String {
    let at = moment(last.completed_at.unwrap_or(last.decided_at));
    let change = match last.change.as_str() {
        "given" => return format!("Another client gave the role; an attempt saw that at {at}."),
        "taken" => return format!("Another client removed the role; an attempt saw that at {at}."),
        other => other,
    };
    let cause = match (&last.reason, last.crossing()) {
        (Some(why), _) => reason(why).to_owned(),
        (
            None,
            Some(Crossing {
                event_id,
                stream_seq,
                stored_at,
                plays: count,
            }),
        ) => format!(
            "event {event_id}, which the stream stored at {} as message {stream_seq}, moved the user across a threshold, and the count \
             was {count} at the decision",
            moment(stored_at)
        ),
        (None, None) => format!(
            "the count was {} at the decision. No event is stored with it: the sweep, a change of rules or a record of the \
             tenant's log caused it",
            last.plays
        ),
    };
    format!("The role was last {change} at {at}: {cause}.")
}
