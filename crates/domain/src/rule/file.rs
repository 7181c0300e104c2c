//! The rules file.
//!
//! Owns the format of the file and the wording of every fault in it. Must never accept a rule that grants and revokes
//! at the same count.

use std::fmt;

use serde::Deserialize;

use super::{FORMAT, Rule, Rules};

/// More rules than this are a mistake. The limit also keeps the number of thresholds within a byte.
const MAX_RULES: usize = 100;

/// The faults of a rules file, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFaults(pub Vec<String>);

impl fmt::Display for RuleFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for RuleFaults {}

/// The content of a rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Version of the file; 0 if it has none.
    pub version: i64,
    /// Rules of the file.
    pub rules: Rules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Option<i64>,
    #[serde(rename = "format")]
    _format: Option<i32>,
    #[serde(default)]
    rule: Vec<Rule>,
}

/// The part of a file that is the same in every format.
#[derive(Deserialize)]
struct OfAnyFormat {
    format: Option<i64>,
}

impl Versioned {
    /// Parses a rules file (TOML).
    ///
    /// # Errors
    /// Every fault at once, each with its place and its remedy.
    pub fn parse(text: &str) -> Result<Self, RuleFaults> {
        // The format comes first: fields of a later format would be reported as faults.
        if let Ok(OfAnyFormat { format: Some(format) }) = toml::from_str(text)
            && !(1..=i64::from(FORMAT)).contains(&format)
        {
            return Err(RuleFaults(vec![format!(
                "format {format}: this release ({}) knows formats 1 to {FORMAT}; use a newer release",
                env!("CARGO_PKG_VERSION")
            )]));
        }
        let file: File = toml::from_str(text).map_err(|error| RuleFaults(vec![place(text, &error)]))?;
        if let Some(version) = file.version.filter(|version| *version < 1) {
            return Err(RuleFaults(vec![format!(
                "version: expected 1 or more, got {version}; omit it for a file without a version"
            )]));
        }
        Ok(Self {
            version: file.version.unwrap_or_default(),
            rules: Rules::checked(file.rule)?,
        })
    }
}

/// Reports every fault in the rules of a file.
pub(super) fn check(rules: &[Rule]) -> Result<(), RuleFaults> {
    let mut faults = Vec::new();
    if rules.is_empty() || rules.len() > MAX_RULES {
        faults.push(format!(
            "{} [[rule]] in the file: write 1 to {MAX_RULES}",
            rules.len()
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
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
                "{name}: grant_at ({}) is below revoke_below ({}): a granted role would be revoked at once",
                rule.grant_at, rule.revoke_below
            ));
        }
        if rules[..index].iter().any(|earlier| earlier.role == rule.role) {
            faults.push(format!("{name}: another rule has the same role: keep one"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(RuleFaults(faults))
    }
}

/// The position in the file and the parser's message.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        text[..span.start.min(text.len())].matches('\n').count() + 1
    });
    format!("line {line}: {}", error.message())
}

/// Durations as text: `90s`, `15m`, `2h`, `7days`.
pub(super) mod span {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Longer durations are a mistake, and would exceed the calendar.
    const LONGEST: Duration = Duration::from_hours(24 * 3650);

    pub(in super::super) fn serialize<S: Serializer>(
        span: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*span))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(span) if span <= LONGEST => Ok(span),
            Ok(_) => Err(D::Error::custom(format!("\"{text}\" is longer than 3650days"))),
            Err(_) => Err(D::Error::custom(format!(
                "\"{}\" is no duration, expected one like 90s, 15m, 2h or 7days",
                text.escape_debug()
            ))),
        }
    }
}
