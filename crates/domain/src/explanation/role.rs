//! The explanation of one managed role: held or not, due or not, and by which rule and count.
//!
//! Owns the value, and the sentences about holding and changing it. Must never decide: the evaluation has decided.

use serde::Serialize;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::reasons::{self, About};
use super::stored::{Crossing, Decision};
use super::words::{moment, quoted};
use crate::evaluation::Role;
use crate::plan::RoleChange;
use crate::rule::Rule;

/// One managed role of the user.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleExplained {
    /// The role.
    pub role: String,
    /// Whether the user holds it, as last read; null if no attempt has read it.
    pub holds: Option<bool>,
    /// Whether the user should hold it.
    pub should_hold: bool,
    /// The deciding word: `rule`, `pin`, `suppressed` or `forbidden`.
    pub decided_by: &'static str,
    /// Whether the rule alone would give it.
    pub by_rule: bool,
    /// The rule.
    pub rule: Rule,
    /// The count that the rule compares.
    pub plays: i64,
    /// Rolekeeper may revoke it.
    pub may_revoke: bool,
    /// The change that our own records require.
    pub pending: Option<RoleChange>,
    /// Time since which the user holds it, or does not.
    #[serde(with = "rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// Time of the last read of the profile for this role.
    #[serde(with = "rfc3339::option")]
    pub verified_at: Option<OffsetDateTime>,
    /// Time at which the decision changes without an event.
    #[serde(with = "rfc3339::option")]
    pub changes_at: Option<OffsetDateTime>,
    /// The event that carried the user across a threshold, as far as it is stored with the queue or with the last change.
    pub crossing: Option<Crossing>,
    /// The last completed change of the role.
    pub last_change: Option<Decision>,
    /// The sentences.
    pub why: Vec<String>,
}

impl RoleExplained {
    pub(super) fn of(role: &Role<'_>, about: &About<'_>) -> Self {
        let known = role.known.as_ref();
        let holds = known.map(|known| known.has_role).or(about.in_profile);
        let forbidden = about.forbidden && role.wanted() && holds != Some(true);
        let pending = role.pending_change().filter(|_| !forbidden);
        let of_last = about.last_change.and_then(Decision::crossing);
        let mut explained = Self {
            role: role.rule.role.clone(),
            holds,
            should_hold: role.wanted() && !forbidden,
            decided_by: match (forbidden, role.pin.is_some(), role.suppressed) {
                (true, _, _) => "forbidden",
                (false, true, _) => "pin",
                (false, false, true) => "suppressed",
                (false, false, false) => "rule",
            },
            by_rule: role.decision.wanted,
            rule: role.rule.clone(),
            plays: about.plays,
            may_revoke: role.adopted(),
            pending,
            since: known.map(|known| known.since),
            verified_at: about.verified_at,
            changes_at: role.decision.again_at,
            crossing: about.cause.filter(|_| pending.is_some()).cloned().or(of_last),
            last_change: about.last_change.cloned(),
            why: vec![],
        };
        let sentences = [
            Some(explained.held(about)),
            Some(reasons::counted(role.rule, about)),
            reasons::conditions(role.rule, about),
            reasons::by_count(role, about),
            about.pin.map(reasons::pinned),
            role.suppressed.then(reasons::suppressed),
            role.removal.as_ref().map(reasons::removed),
            about.last_change.map(reasons::changed),
            Some(explained.conclusion(about.user)),
        ];
        explained.why = sentences.into_iter().flatten().collect();
        explained
    }

    fn held(&self, about: &About<'_>) -> String {
        let read = about.verified_at.map_or_else(
            || "the profile has to be read again".to_owned(),
            |at| format!("last read at {}", moment(at)),
        );
        match (self.holds, self.since) {
            (None, _) => {
                "It is not known whether the user holds the role: no attempt has read the profile.".to_owned()
            }
            (Some(true), Some(since)) => format!("The user holds the role since {} ({read}).", moment(since)),
            (Some(true), None) => "The user holds the role, as last read.".to_owned(),
            (Some(false), Some(_)) => format!("The user does not hold the role ({read})."),
            (Some(false), None) => "The user does not hold the role, as last read.".to_owned(),
        }
    }

    fn conclusion(&self, user: &str) -> String {
        match (self.pending, self.holds, self.should_hold) {
            (Some(RoleChange::Granted), ..) => "So the role is to be granted.".to_owned(),
            (Some(RoleChange::Revoked), ..) => "So the role is to be revoked.".to_owned(),
            (None, ..) if self.decided_by == "forbidden" => {
                "FORBIDDEN_ROLES lists the role, so it is never granted.".to_owned()
            }
            (None, Some(true), false) => format!(
                "Rolekeeper neither granted nor adopted the role, so it stays: rolekeeper adopt --role {} --user {}",
                self.role,
                quoted(user)
            ),
            (None, ..) => "So nothing has to change.".to_owned(),
        }
    }
}
