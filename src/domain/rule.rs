//! Rules: from what a user's playlists add up to, to the roles the user should hold, and why.
//!
//! Owns the reading of the rules file and the decision. Must never know what Auth0 says: a decision is
//! made from facts and from what was decided before.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The rule in force when no rules file is given.
const DEFAULT_ROLE: &str = "playlist_editor";
const DEFAULT_LINE: i64 = 100;

/// What a rule measures of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Plays of the user's most played playlist.
    #[default]
    BestPlaylist,
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
}

/// All rules in force; at least one, no two for the same role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What is wrong with a rules file, one line a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFaults(pub Vec<String>);

impl fmt::Display for RuleFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for RuleFaults {}

/// The shape of the rules file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Rule>,
}

impl Rule {
    /// Whether the role is due at `plays`, given what was decided last. Between the lines that stays.
    #[must_use]
    pub fn wanted(&self, plays: i64, wanted_before: bool) -> bool {
        plays >= self.grant_at || (plays >= self.revoke_below && wanted_before)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self(vec![Rule {
            role: DEFAULT_ROLE.to_owned(),
            of: Measure::BestPlaylist,
            grant_at: DEFAULT_LINE,
            revoke_below: DEFAULT_LINE,
        }])
    }
}

impl Rules {
    /// Reads a rules file (TOML).
    ///
    /// # Errors
    /// Every fault at once, each with its place and the way out.
    pub fn parse(text: &str) -> Result<Self, RuleFaults> {
        let file: File = toml::from_str(text).map_err(|error| RuleFaults(vec![place(text, &error)]))?;
        let mut faults = Vec::new();
        if file.rule.is_empty() {
            faults.push("no [[rule]] in the file: write at least one".to_owned());
        }
        for (index, rule) in file.rule.iter().enumerate() {
            let name = format!("rule {} (role \"{}\")", index + 1, rule.role.escape_debug());
            if rule.role.is_empty() || rule.role.len() > 128 || rule.role.chars().any(char::is_control) {
                faults.push(format!(
                    "{name}: role: expected 1 to 128 bytes without control characters"
                ));
            }
            if rule.revoke_below < 1 {
                faults.push(format!(
                    "{name}: revoke_below: expected at least 1, got {}",
                    rule.revoke_below
                ));
            }
            if rule.grant_at < rule.revoke_below {
                faults.push(format!(
                    "{name}: grant_at ({}) is below revoke_below ({}): whoever is granted would lose it at once",
                    rule.grant_at, rule.revoke_below
                ));
            }
            if file.rule[..index].iter().any(|earlier| earlier.role == rule.role) {
                faults.push(format!("{name}: a second rule for the same role: keep one"));
            }
        }
        if faults.is_empty() {
            Ok(Self(file.rule))
        } else {
            Err(RuleFaults(faults))
        }
    }

    /// The rules, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Rule] {
        &self.0
    }

    /// SHA-256 over the rules in canonical form (by role), in hex. Order in the file does not matter.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut rules: Vec<&Rule> = self.0.iter().collect();
        rules.sort_by(|a, b| a.role.cmp(&b.role));
        let mut digest = Sha256::new();
        for rule in rules {
            // Lengths keep two different lists of rules from reading the same.
            digest.update(format!(
                "{}:{}|{:?}|{}|{};",
                rule.role.len(),
                rule.role,
                rule.of,
                rule.grant_at,
                rule.revoke_below
            ));
        }
        digest
            .finalize()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    /// How many lines `plays` has reached. As long as this number stays, no rule can come to another
    /// decision, so nobody needs to look at the owner.
    #[must_use]
    pub fn lines_reached(&self, plays: i64) -> usize {
        self.0
            .iter()
            .flat_map(|rule| [rule.grant_at, rule.revoke_below])
            .filter(|line| plays >= *line)
            .count()
    }
}

/// The place in the file and the parser's word on it.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        text[..span.start.min(text.len())].matches('\n').count() + 1
    });
    format!("line {line}: {}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(grant_at: i64, revoke_below: i64) -> Rule {
        Rule {
            role: "editor".to_owned(),
            of: Measure::BestPlaylist,
            grant_at,
            revoke_below,
        }
    }

    #[test]
    fn at_the_line() {
        let plain = rule(100, 100);
        assert!(!plain.wanted(99, false) && !plain.wanted(99, true));
        assert!(plain.wanted(100, false) && plain.wanted(101, true));
        let kept = rule(100, 90);
        assert!(
            !kept.wanted(99, false),
            "never granted on the way up before the line"
        );
        assert!(
            kept.wanted(99, true) && kept.wanted(90, true),
            "kept between the lines"
        );
        assert!(!kept.wanted(89, true));
    }

    #[test]
    fn a_good_file_is_read() {
        let rules = Rules::parse(
            "[[rule]]\nrole = \"playlist_editor\"\nof = \"best_playlist\"\ngrant_at = 100\nrevoke_below = 100\n",
        )
        .unwrap();
        assert_eq!(rules, Rules::default());
    }

    #[test]
    fn each_bad_file_names_the_fault() {
        let two = "[[rule]]\nrole=\"a\"\ngrant_at=1\nrevoke_below=1\n[[rule]]\nrole=\"a\"\ngrant_at=2\nrevoke_below=1\n";
        for (text, part) in [
            ("", "no [[rule]]"),
            (
                "[[rule]]\nrole=\"a\"\ngrant_at=5\nrevoke_below=6\n",
                "grant_at (5) is below revoke_below (6)",
            ),
            (
                "[[rule]]\nrole=\"a\"\ngrant_at=-5\nrevoke_below=-6\n",
                "revoke_below: expected at least 1, got -6",
            ),
            (
                "[[rule]]\nrole=\"\"\ngrant_at=5\nrevoke_below=5\n",
                "role: expected",
            ),
            (
                "[[rule]]\nrole=\"a\"\ngrant_at=5\nrevoke_below=5\ncolour=1\n",
                "line 5: unknown field `colour`",
            ),
            (
                "[[rule]]\nrole=\"a\"\ngrant_at=\"5\"\nrevoke_below=5\n",
                "line 3: invalid type",
            ),
            ("[[rule]]\nrole=\"a\"\nrevoke_below=5\n", "grant_at"),
            (two, "a second rule for the same role"),
        ] {
            let faults = Rules::parse(text).unwrap_err().to_string();
            assert!(faults.contains(part), "{faults:?} lacks {part:?}");
        }
    }

    #[test]
    fn the_fingerprint_follows_the_meaning() {
        let one = Rules(vec![
            rule(100, 90),
            Rule {
                role: "b".to_owned(),
                ..rule(5, 5)
            },
        ]);
        let turned = Rules(one.0.iter().rev().cloned().collect());
        assert_eq!(one.fingerprint(), turned.fingerprint());
        assert_ne!(one.fingerprint(), Rules(vec![rule(100, 91)]).fingerprint());
        assert_eq!(one.fingerprint().len(), 64);
    }

    proptest! {
        #[test]
        fn no_line_crossed_means_no_other_decision(
            low in 1i64..200, gap in 0i64..50, a in -5i64..300, b in -5i64..300, before: bool
        ) {
            let rules = Rules(vec![rule(low + gap, low)]);
            let only = &rules.as_slice()[0];
            if rules.lines_reached(a) == rules.lines_reached(b) {
                let decided = only.wanted(a, before);
                prop_assert_eq!(only.wanted(b, decided), decided);
            }
        }
    }
}
