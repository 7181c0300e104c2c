//! The difference between the managed roles a user should hold and the roles seen at Auth0, as a value.
//!
//! Owns which entries of `app_metadata.roles` may change. Must never touch an entry that no rule names, nor plan over a
//! `roles` value of an unknown form.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `app_metadata.roles` as a profile shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenRoles {
    /// No `app_metadata`, or no `roles` in it, or null.
    Missing,
    /// An array of strings, unchanged.
    List(Vec<String>),
    /// Any other value, with its type; never overwritten.
    Odd(String),
}

impl SeenRoles {
    /// Whether the profile has this role.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        matches!(self, Self::List(roles) if roles.iter().any(|one| one == role))
    }
}

/// The wanted state of one managed role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want<'a> {
    /// The managed role.
    pub role: &'a str,
    /// Whether the rules say the user should hold it.
    pub wanted: bool,
    /// Whether rolekeeper may revoke it.
    pub adopted: bool,
}

/// Kind of a role change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleChange {
    /// The role is added.
    Granted,
    /// The role is removed.
    Revoked,
}

impl RoleChange {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Granted, Self::Revoked];

    /// The change that leads to holding the role, or to not holding it.
    #[must_use]
    pub fn to(held: bool) -> Self {
        if held { Self::Granted } else { Self::Revoked }
    }

    /// The value in the audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Revoked => "revoked",
        }
    }
}

/// The changes for one user. Prints as `+role -role`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    changes: Vec<(String, RoleChange)>,
    roles_after: Vec<String>,
}

/// Plans the smallest change that gives the user the wanted managed roles.
///
/// # Errors
/// The type of `roles` if it is not an array of strings; then the operator must act.
pub fn plan(seen: &SeenRoles, wants: &[Want<'_>]) -> Result<Plan, String> {
    let mut roles_after = match seen {
        SeenRoles::Missing => Vec::new(),
        SeenRoles::List(roles) => roles.clone(),
        SeenRoles::Odd(what) => {
            return Err(format!(
                "app_metadata.roles is {what}, expected an array of strings"
            ));
        }
    };
    let mut changes = Vec::new();
    for want in wants {
        let held = roles_after.iter().any(|role| role == want.role);
        if want.wanted && !held {
            roles_after.push(want.role.to_owned());
            changes.push((want.role.to_owned(), RoleChange::Granted));
        } else if !want.wanted && held && want.adopted {
            roles_after.retain(|role| role != want.role);
            changes.push((want.role.to_owned(), RoleChange::Revoked));
        }
    }
    Ok(Plan { changes, roles_after })
}

impl Plan {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes, in the order of the rules.
    #[must_use]
    pub fn changes(&self) -> &[(String, RoleChange)] {
        &self.changes
    }

    /// The whole array after the change.
    #[must_use]
    pub fn roles_after(&self) -> &[String] {
        &self.roles_after
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("up to date");
        }
        for (index, (role, change)) in self.changes.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let sign = if *change == RoleChange::Granted { '+' } else { '-' };
            write!(f, "{space}{sign}{role}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(roles: &[&str]) -> SeenRoles {
        SeenRoles::List(roles.iter().map(|role| (*role).to_owned()).collect())
    }

    fn want(wanted: bool, adopted: bool) -> [Want<'static>; 1] {
        [Want {
            role: "editor",
            wanted,
            adopted,
        }]
    }

    #[test]
    fn table_of_plans() {
        for (seen, wants, shown, after) in [
            (SeenRoles::Missing, want(true, false), "+editor", vec!["editor"]),
            (SeenRoles::Missing, want(false, true), "up to date", vec![]),
            (list(&["x"]), want(true, false), "+editor", vec!["x", "editor"]),
            (
                list(&["editor", "x"]),
                want(true, true),
                "up to date",
                vec!["editor", "x"],
            ),
            (
                list(&["editor", "x", "editor"]),
                want(false, true),
                "-editor",
                vec!["x"],
            ),
            (list(&["editor"]), want(false, true), "-editor", vec![]),
            (
                list(&["editor"]),
                want(false, false),
                "up to date",
                vec!["editor"],
            ),
            (
                list(&["x", "x"]),
                want(true, false),
                "+editor",
                vec!["x", "x", "editor"],
            ),
        ] {
            let plan = plan(&seen, &wants).unwrap();
            assert_eq!(
                (plan.to_string().as_str(), plan.roles_after()),
                (
                    shown,
                    after
                        .iter()
                        .map(|r| (*r).to_owned())
                        .collect::<Vec<_>>()
                        .as_slice()
                ),
                "{seen:?}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_left_for_a_person() {
        let why = plan(&SeenRoles::Odd("a string".to_owned()), &want(true, false)).unwrap_err();
        assert_eq!(
            why,
            "app_metadata.roles is a string, expected an array of strings"
        );
    }

    fn roles() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-c]{1,2}|editor|reviewer", 0..12)
    }

    proptest! {
        #[test]
        fn foreign_roles_survive_in_their_order(seen in roles(), a: bool, b: bool, c: bool, d: bool) {
            let wants = [
                Want { role: "editor", wanted: a, adopted: b },
                Want { role: "reviewer", wanted: c, adopted: d },
            ];
            let foreign = |roles: &[String]| -> Vec<String> {
                roles.iter().filter(|role| *role != "editor" && *role != "reviewer").cloned().collect()
            };
            let planned = plan(&SeenRoles::List(seen.clone()), &wants).unwrap();
            prop_assert_eq!(foreign(planned.roles_after()), foreign(&seen));
            // A plan applied twice changes nothing more.
            let again = plan(&SeenRoles::List(planned.roles_after().to_vec()), &wants).unwrap();
            prop_assert!(again.is_empty());
        }
    }
}
