//! Decides whether the rules of a file replace the rules in force.
//!
//! Owns the order of rules: by version alone, never by the start time of a worker. Must never let older rules, or rules
//! without a version, replace rules with one.

use super::{Rules, Versioned};

/// The rules in force, as far as the comparison needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Version of the rules.
    pub version: i64,
    /// Fingerprint of the rules.
    pub fingerprint: String,
    /// Whether they are the built-in rule, which came from no file.
    pub built_in: bool,
}

/// Decision about the rules of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The offered rules replace the rules in force.
    PutInForce,
    /// The offered rules are the rules in force.
    Same,
    /// The file has the version of the rules in force and other content. The text names the remedy.
    Refused(String),
    /// Newer rules are in force. The text names both versions.
    Left(String),
}

/// Compares the rules of a file with the rules in force.
#[must_use]
pub fn judge(offered: &Versioned, in_force: Option<&InForce>) -> Verdict {
    let Some(in_force) = in_force else {
        return Verdict::PutInForce;
    };
    let same = offered.rules.fingerprint() == in_force.fingerprint;
    match (offered.version, in_force.version) {
        (ours, theirs) if ours > theirs => Verdict::PutInForce,
        (0, 0) if in_force.built_in => Verdict::PutInForce,
        (ours, theirs) if ours == theirs && same => Verdict::Same,
        (0, 0) => Verdict::Refused(
            "the file has no version, and other content than the rules in force, which came from another file without a \
             version. To put it in force, write `version = 1` at its top"
                .to_owned(),
        ),
        (ours, theirs) if ours == theirs => Verdict::Refused(format!(
            "the file has version {ours}, as the rules in force, and other content. To put it in force, raise its version \
             to {}",
            ours.saturating_add(1)
        )),
        (0, theirs) => Verdict::Left(format!(
            "the file has no version, and rules of version {theirs} are in force: the file is ignored"
        )),
        (ours, theirs) => Verdict::Left(format!(
            "the file has version {ours}, and rules of version {theirs} are in force: the file is ignored. To go back to \
             its content, give it a version above {theirs}"
        )),
    }
}

/// The differences from one set of rules to another, one line each; empty when both have the same meaning.
#[must_use]
pub fn changes(before: Option<&Rules>, after: &Rules) -> Vec<String> {
    let before = before.map_or(&[][..], Rules::as_slice);
    let written = |rule| {
        let text = super::canonical::one(rule);
        let fields = text.lines().skip(3).collect::<Vec<_>>().join(", ");
        format!("{}: {fields}", rule.role)
    };
    let mut lines = Vec::new();
    for rule in before {
        match after.as_slice().iter().find(|new| new.role == rule.role) {
            None => lines.push(format!("- {}", written(rule))),
            Some(new) if new != rule => {
                lines.push(format!("- {}", written(rule)));
                lines.push(format!("+ {}", written(new)));
            }
            Some(_) => {}
        }
    }
    let added = after.as_slice().iter();
    let added = added.filter(|rule| before.iter().all(|old| old.role != rule.role));
    lines.extend(added.map(|rule| format!("+ {}", written(rule))));
    lines
}
