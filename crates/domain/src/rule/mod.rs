//! Rules: from what a user's playlists add up to, to the roles the user should hold, and why.
//!
//! Owns the decision. Must never know what Auth0 says: a decision is made from facts, from what was decided
//! before, and from the time it is given.

mod canonical;
mod file;
pub mod offer;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use canonical::fingerprint;
pub use file::{RuleFaults, Versioned};

/// The newest format of rules that this release knows: raised with each field that an older release would not obey.
pub const FORMAT: i32 = 1;
/// The first release that knows it.
pub const FORMAT_SINCE: &str = "0.1.0";

/// The built-in rule: in force while no rules file was ever given.
const DEFAULT_ROLE: &str = "playlist_editor";
const DEFAULT_LINE: i64 = 100;

/// What a rule measures of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Plays of the user's most played playlist.
    #[default]
    BestPlaylist,
    /// Plays of all of the user's playlists together.
    AllPlaylists,
}

/// Whether a rule takes its role away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoke {
    /// It does, when a user falls below the line.
    #[default]
    On,
    /// Once earned, the role stays.
    Never,
}

/// What happens when a person took away a role that was earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manual {
    /// It is granted again.
    #[default]
    Restore,
    /// It is only told; the user gets it again after falling below the line and earning it anew.
    Alert,
}

/// One role and the lines at which it comes and goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The entry of `app_metadata.roles` this rule owns.
    pub role: String,
    /// What is measured.
    #[serde(default)]
    pub of: Measure,
    /// At this many plays the role is due.
    pub grant_at: i64,
    /// Below this many plays it goes. Lower than `grant_at`, it keeps a role that hovers around the line.
    pub revoke_below: i64,
    /// Kept at least this long once granted.
    #[serde(default, with = "file::span")]
    pub min_hold: Duration,
    /// How long a user must be below the line before the role goes.
    #[serde(default, with = "file::span")]
    pub grace: Duration,
    /// Whether it goes at all.
    #[serde(default)]
    pub revoke: Revoke,
    /// What happens when a person took it away.
    #[serde(default)]
    pub manual: Manual,
}

/// What was decided of a role before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// The user should hold it.
    pub wanted: bool,
    /// Since when the user holds it, or does not.
    pub since: OffsetDateTime,
    /// Since when the user has been below the line, if so.
    pub below_since: Option<OffsetDateTime>,
}

/// What a rule says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The user should hold the role.
    pub wanted: bool,
    /// Since when the user has been below the line; only while the role is kept all the same.
    pub below_since: Option<OffsetDateTime>,
    /// When it will say something else although nothing happens.
    pub again_at: Option<OffsetDateTime>,
}

/// All rules in force; at least one, no two for the same role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rule {
    /// Decides at `now` (by the clock that `before` was written by). Between the lines the last decision stays.
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
        if plays >= self.revoke_below || self.revoke == Revoke::Never {
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

impl Default for Rules {
    fn default() -> Self {
        Self(vec![Rule {
            role: DEFAULT_ROLE.to_owned(),
            of: Measure::BestPlaylist,
            grant_at: DEFAULT_LINE,
            revoke_below: DEFAULT_LINE,
            min_hold: Duration::ZERO,
            grace: Duration::ZERO,
            revoke: Revoke::On,
            manual: Manual::Restore,
        }])
    }
}

impl Rules {
    /// Rules as an older release stored them.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(rules: Vec<Rule>) -> Result<Self, RuleFaults> {
        file::check(&rules)?;
        Ok(Self(rules))
    }

    /// The rules, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.0
    }

    /// The rules in their written canonical form: a rules file that says the same. Order in the file does not matter.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::text(&self.0)
    }

    /// SHA-256 over the canonical form, in hex.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.canonical())
    }

    /// Whether a rule measures all playlists of a user together.
    #[must_use]
    pub fn need_totals(&self) -> bool {
        self.0.iter().any(|rule| rule.of == Measure::AllPlaylists)
    }

    /// The lines of the rules that measure `of`, ascending, each once.
    #[must_use]
    pub fn lines(&self, of: Measure) -> Vec<i64> {
        let rules = self.0.iter().filter(|rule| rule.of == of);
        let mut lines: Vec<i64> = rules
            .flat_map(|rule| [rule.grant_at, rule.revoke_below])
            .collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    /// How many lines of the rules that measure `of` are reached at `plays`. As long as this number stays, none
    /// of them can come to another decision because of it, so nobody needs to look at the owner.
    #[must_use]
    pub fn lines_reached(&self, of: Measure, plays: i64) -> u8 {
        let rules = self.0.iter().filter(|rule| rule.of == of);
        let reached = rules
            .flat_map(|rule| [rule.grant_at, rule.revoke_below])
            .filter(|line| plays >= *line)
            .count();
        u8::try_from(reached).unwrap_or(u8::MAX)
    }
}
