//! One rule: a role, its thresholds, and its decision.
//!
//! Owns the decision. Must never use the roles that Auth0 shows: a decision follows from facts, the previous decision, the
//! conditions on the profile, and the time passed in.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::condition::{Condition, Shown};
use super::span;

/// The newest rules format that this release knows. Raised with each field that an older release would ignore.
pub const FORMAT: i32 = 2;
/// The first release that knows this format.
pub const FORMAT_SINCE: &str = "0.1.0";

/// The count that a rule compares with its thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Plays of the user's most played playlist.
    #[default]
    BestPlaylist,
    /// Plays of all of the user's playlists together.
    AllPlaylists,
}

/// Whether a rule revokes its role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoke {
    /// The role is revoked when a user falls below the threshold.
    #[default]
    On,
    /// A granted role stays.
    Never,
}

/// Reaction to a role that another client removed although the user still earns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExternalRemoval {
    /// The role is granted again.
    #[default]
    Restore,
    /// The removal is only reported. The role is granted again once the user fell below the threshold and earned it
    /// again.
    Alert,
    /// A removal that a confirmed record of the tenant's log reports becomes a pin `off`, until the operator removes it. Any
    /// other missing role is granted again.
    Respect,
}

/// One role and the thresholds at which it is granted and revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The entry of `app_metadata.roles` that this rule manages.
    pub role: String,
    /// The count that is compared.
    #[serde(default)]
    pub of: Measure,
    /// The role is granted at this many plays.
    pub grant_at: i64,
    /// The role is revoked below this many plays. A value lower than `grant_at` keeps the role of a user whose count
    /// oscillates.
    pub revoke_below: i64,
    /// Minimum time that a granted role is kept.
    #[serde(default, with = "span")]
    pub min_hold: Duration,
    /// Time for which a user must be below the threshold before the role is revoked.
    #[serde(default, with = "span")]
    pub grace: Duration,
    /// Whether the role is revoked at all.
    #[serde(default)]
    pub revoke: Revoke,
    /// Reaction to the removal of the role by another client.
    #[serde(default)]
    pub manual: OnExternalRemoval,
    /// Conditions on the profile; all must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_if: Vec<Condition>,
}

/// The previous decision about a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// The user should hold it.
    pub wanted: bool,
    /// Time since which the user holds the role, or does not.
    pub since: OffsetDateTime,
    /// Time since which the user has been below the threshold, if so.
    pub below_since: Option<OffsetDateTime>,
}

/// The current decision of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The user should hold the role.
    pub wanted: bool,
    /// Time since which the user has been below the threshold; only while the role is still kept.
    pub below_since: Option<OffsetDateTime>,
    /// Time at which the decision changes without any event.
    pub again_at: Option<OffsetDateTime>,
}

impl Rule {
    /// The oldest format in which the rule can be written.
    #[must_use]
    pub fn format(&self) -> i32 {
        if self.manual == OnExternalRemoval::Respect || !self.only_if.is_empty() {
            2
        } else {
            1
        }
    }

    /// Whether a profile meets the conditions; `None` while no whole profile is known.
    #[must_use]
    pub fn is_met(&self, shown: Option<Shown>) -> Option<bool> {
        if self.only_if.is_empty() {
            return Some(true);
        }
        let shown = shown?;
        Some(self.only_if.iter().all(|condition| condition.is_met(shown)))
    }

    /// Decides by the conditions too: a condition that does not hold counts as a count below the threshold, without grace
    /// or minimum hold. While it is unknown whether they hold, the last decision stays.
    #[must_use]
    pub fn decide_if(&self, met: Option<bool>, plays: i64, before: &Before, now: OffsetDateTime) -> Decision {
        match met {
            Some(true) => self.decide(plays, Some(before), now),
            Some(false) => Decision {
                wanted: before.wanted && self.revoke == Revoke::Never,
                below_since: None,
                again_at: None,
            },
            None => Decision {
                wanted: before.wanted,
                below_since: before.below_since,
                again_at: None,
            },
        }
    }

    /// Whether the count alone lets a holder keep the role; neither conditions nor timers matter.
    #[must_use]
    pub fn keeps(&self, plays: i64) -> bool {
        plays >= self.revoke_below || self.revoke == Revoke::Never
    }

    /// Whether a holder may keep the role with a count that would not give it.
    #[must_use]
    pub fn outlasts_its_count(&self) -> bool {
        self.revoke == Revoke::Never || self.revoke_below < self.grant_at
    }

    /// Decides at `now`, by the clock that `before` was written with. Between the thresholds the last decision stays.
    #[must_use]
    pub fn decide(&self, plays: i64, before: Option<&Before>, now: OffsetDateTime) -> Decision {
        let decided = |wanted| Decision {
            wanted,
            below_since: None,
            again_at: None,
        };
        let Some(before) = before.filter(|before| before.wanted) else {
            return decided(plays >= self.grant_at);
        };
        if self.keeps(plays) {
            return decided(true);
        }
        let below_since = before.below_since.unwrap_or(now);
        let ends = (below_since + self.grace).max(before.since + self.min_hold);
        if now >= ends {
            return decided(false);
        }
        Decision {
            wanted: true,
            below_since: Some(below_since),
            again_at: Some(ends),
        }
    }
}
