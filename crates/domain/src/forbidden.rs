//! Roles that rolekeeper never grants.
//!
//! Owns the list, and the refusal of rules that name one of them. Must never prevent such a role from being kept or
//! removed: only granting is forbidden.

use super::rule::Versioned;

/// The forbidden roles unless the setting says otherwise.
pub const DEFAULT: &str = "admin,owner,superadmin";
/// The value of the setting that forbids no role.
const NONE: &str = "none";

/// The list of forbidden roles, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenRoles(Vec<String>);

impl ForbiddenRoles {
    /// Parses names separated by commas. An empty text is the default, `none` forbids no role.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let names = match text {
            "" => DEFAULT,
            NONE => "",
            names => names,
        };
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self(names.map(str::to_lowercase).collect())
    }

    /// Whether granting the role is forbidden.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.0.contains(&role.to_lowercase())
    }

    /// Parses a rules file.
    ///
    /// # Errors
    /// The faults of the file, or the rule whose role is forbidden.
    pub fn parse_rules(&self, text: &str) -> Result<Versioned, String> {
        let file = Versioned::parse(text).map_err(|faults| faults.to_string())?;
        for rule in file.rules.as_slice() {
            if self.has(&rule.role) {
                return Err(format!(
                    "a rule names the role \"{}\", which FORBIDDEN_ROLES lists: such a role is never granted. Take the rule out \
                     of the file, or the role out of FORBIDDEN_ROLES",
                    rule.role.escape_debug()
                ));
            }
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_stands_unless_a_list_or_none_is_named() {
        for (text, admin, staff) in [
            ("", true, false),
            (" ", true, false),
            ("none", false, false),
            ("staff, Root", false, true),
            ("admin,staff", true, true),
        ] {
            let forbidden = ForbiddenRoles::parse(text);
            assert_eq!(
                (forbidden.has("Admin"), forbidden.has("staff")),
                (admin, staff),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_rules_file_that_names_one_is_refused_by_name() {
        let rules = |role: &str| {
            format!("[[rule]]\nrole = \"{role}\"\nof = \"best_playlist\"\ngrant_at = 1\nrevoke_below = 1\n")
        };
        let forbidden = ForbiddenRoles::parse("");
        assert!(forbidden.parse_rules(&rules("editor")).is_ok());
        let why = forbidden.parse_rules(&rules("owner")).unwrap_err();
        assert!(why.contains("\"owner\", which FORBIDDEN_ROLES lists"), "{why}");
    }
}
