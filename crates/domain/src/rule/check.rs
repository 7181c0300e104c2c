//! The faults of rules.
//!
//! Owns the wording of every fault. Must never accept a rule that grants and revokes at the same count.

use std::fmt;

use super::one::Rule;

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
        let conditions = &rule.only_if;
        if (1..conditions.len()).any(|at| conditions[..at].contains(&conditions[at])) {
            faults.push(format!("{name}: only_if: names a condition twice: keep one"));
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
