//! Rules: which roles a user should hold, and why, from the counts of the user's playlists.
//!
//! Owns the set of rules in force and its thresholds.

mod canonical;
mod check;
mod condition;
mod file;
pub mod offer;
mod one;
mod span;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use canonical::fingerprint;
pub use check::RuleFaults;
pub use condition::{Condition, Shown};
pub use file::Versioned;
pub use one::{Before, Decision, FORMAT, FORMAT_SINCE, Measure, OnExternalRemoval, Revoke, Rule};

/// Role of the built-in rule, which is in force until the first rules file is.
const DEFAULT_ROLE: &str = "playlist_editor";
const DEFAULT_THRESHOLD: i64 = 100;

/// All rules in force; at least one, no two for the same role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Default for Rules {
    fn default() -> Self {
        Self(vec![Rule {
            role: DEFAULT_ROLE.to_owned(),
            of: Measure::BestPlaylist,
            grant_at: DEFAULT_THRESHOLD,
            revoke_below: DEFAULT_THRESHOLD,
            min_hold: Duration::ZERO,
            grace: Duration::ZERO,
            revoke: Revoke::On,
            manual: OnExternalRemoval::Restore,
            only_if: vec![],
        }])
    }
}

impl Rules {
    /// Checks rules that an older release stored.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn checked(rules: Vec<Rule>) -> Result<Self, RuleFaults> {
        check::check(&rules)?;
        Ok(Self(rules))
    }

    /// The rules, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.0
    }

    /// The rules in canonical text form: a rules file with the same meaning. The order in the original file does not
    /// matter.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::text(&self.0)
    }

    /// Whether a rule has a condition on the profile.
    #[must_use]
    pub fn have_conditions(&self) -> bool {
        self.0.iter().any(|rule| !rule.only_if.is_empty())
    }

    /// The oldest format in which these rules can be written.
    #[must_use]
    pub fn format(&self) -> i32 {
        self.0.iter().map(Rule::format).max().unwrap_or(1)
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

    /// The thresholds of the rules that measure `of`, ascending, without duplicates.
    #[must_use]
    pub fn thresholds(&self, of: Measure) -> Vec<i64> {
        let rules = self.0.iter().filter(|rule| rule.of == of);
        let mut thresholds: Vec<i64> = rules
            .flat_map(|rule| [rule.grant_at, rule.revoke_below])
            .collect();
        thresholds.sort_unstable();
        thresholds.dedup();
        thresholds
    }

    /// Number of thresholds that `plays` reaches, of the rules that measure `of`. While this number stays the same,
    /// none of these rules changes its decision because of the count, so the owner is not queued.
    #[must_use]
    pub fn thresholds_reached(&self, of: Measure, plays: i64) -> u8 {
        let rules = self.0.iter().filter(|rule| rule.of == of);
        let reached = rules
            .flat_map(|rule| [rule.grant_at, rule.revoke_below])
            .filter(|threshold| plays >= *threshold)
            .count();
        u8::try_from(reached).unwrap_or(u8::MAX)
    }
}
