//! The rules file.
//!
//! Owns the format of the file, and the place of a fault in it.

use serde::Deserialize;

use super::Rules;
use super::check::RuleFaults;
use super::one::{FORMAT, Rule};

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

/// The position in the file and the parser's message.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        text[..span.start.min(text.len())].matches('\n').count() + 1
    });
    format!("line {line}: {}", error.message())
}
