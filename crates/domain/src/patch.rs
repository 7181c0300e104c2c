//! One write of ours to a profile, as a value.
//!
//! Owns the body of the PATCH. Must never name a key that does not change, and never produce an empty `app_metadata` or
//! `user_metadata`, which Auth0 takes as "delete everything".

use std::fmt;

use serde_json::{Map, Value, json};

use super::display_name::{NameChange, SeenName};
use super::plan::{Plan, SeenRoles};

/// The changes to write to one user. Prints as `+role -role, requested display name`, without the name itself.
#[derive(Clone, Debug)]
pub struct Patch {
    plan: Plan,
    restores: bool,
    name_change: Option<NameChange>,
}

impl Patch {
    /// The changes of `plan` and a name. With `restores`, the plan starts from a list that restores entries of other
    /// clients.
    #[must_use]
    pub fn new(plan: Plan, restores: bool, name_change: Option<NameChange>) -> Self {
        Self {
            plan,
            restores,
            name_change,
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles().is_none() && self.name_change.is_none()
    }

    /// The changes of managed roles.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The whole array of roles, if it must be written.
    #[must_use]
    pub fn roles(&self) -> Option<&[String]> {
        (self.restores || !self.plan.is_empty()).then(|| self.plan.roles_after())
    }

    /// The display name, if one must be written.
    #[must_use]
    pub fn name_change(&self) -> Option<&NameChange> {
        self.name_change.as_ref()
    }

    /// The body of the PATCH. It names only keys that change, so Auth0's merge at the first level keeps all others
    /// (Auth0 docs, manage-metadata-api).
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        if let Some(roles) = self.roles() {
            body.insert("app_metadata".to_owned(), json!({ "roles": roles }));
        }
        if let Some(name_change) = &self.name_change {
            let metadata = json!({ "displayName": name_change.name.as_str() });
            body.insert("user_metadata".to_owned(), metadata);
        }
        Value::Object(body)
    }

    /// Whether a profile with these roles and this name shows the result of this write.
    #[must_use]
    pub fn is_shown_by(&self, roles: &SeenRoles, name: &SeenName) -> bool {
        let same_roles = |wrote: &[String]| matches!(roles, SeenRoles::List(list) if list == wrote);
        let same_name = |wrote: &NameChange| matches!(name, SeenName::Is(is) if is == wrote.name.as_str());
        self.roles().is_none_or(same_roles) && self.name_change().is_none_or(same_name)
    }
}

impl fmt::Display for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "{}", self.plan);
        }
        let roles = (!self.plan.is_empty()).then(|| self.plan.to_string());
        let restored_roles = self
            .restores
            .then(|| "roles of other clients restored".to_owned());
        let name = self.name_change.as_ref().map(ToString::to_string);
        let parts: Vec<String> = [roles, restored_roles, name].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display_name::{DisplayName, NameSource};
    use crate::plan::{Want, plan};

    fn planned(seen: &[&str], wanted: bool) -> Plan {
        let seen = SeenRoles::List(seen.iter().map(|role| (*role).to_owned()).collect());
        let want = Want {
            role: "editor",
            wanted,
            adopted: true,
        };
        plan(&seen, &[want]).unwrap()
    }

    fn name_change(name: &str, by: NameSource) -> NameChange {
        let name = DisplayName::parse(name).unwrap();
        NameChange { name, by }
    }

    #[test]
    fn table_of_bodies() {
        let grant = || planned(&["x"], true);
        let none = || planned(&["x"], false);
        let roles = json!({ "app_metadata": { "roles": ["x", "editor"] } });
        let both = json!({
            "app_metadata": { "roles": ["x", "editor"] },
            "user_metadata": { "displayName": "user" },
        });
        for (patch, body, shown) in [
            (Patch::new(none(), false, None), json!({}), "up to date"),
            (Patch::new(grant(), false, None), roles, "+editor"),
            (
                Patch::new(grant(), false, Some(name_change("user", NameSource::Default))),
                both,
                "+editor, default display name",
            ),
            (
                Patch::new(none(), false, Some(name_change("Ann", NameSource::Requested))),
                json!({ "user_metadata": { "displayName": "Ann" } }),
                "requested display name",
            ),
            (
                Patch::new(none(), true, None),
                json!({ "app_metadata": { "roles": ["x"] } }),
                "roles of other clients restored",
            ),
            (
                // Removing the last role leaves an empty array, not an empty object.
                Patch::new(planned(&["editor"], false), false, None),
                json!({ "app_metadata": { "roles": [] } }),
                "-editor",
            ),
        ] {
            assert_eq!((patch.body(), patch.to_string().as_str()), (body, shown));
            assert_eq!(patch.is_empty(), shown == "up to date", "{shown}");
        }
    }

    #[test]
    fn a_response_must_show_what_was_written() {
        let list = |roles: &[&str]| SeenRoles::List(roles.iter().map(|role| (*role).to_owned()).collect());
        let named = |name: &str| SeenName::Is(name.to_owned());
        let name_only = Patch::new(
            planned(&["x"], false),
            false,
            Some(name_change("Ann", NameSource::Requested)),
        );
        assert!(name_only.is_shown_by(&list(&["others", "changed"]), &named("Ann")));
        assert!(!name_only.is_shown_by(&list(&["x"]), &named("Bob")));
        assert!(!name_only.is_shown_by(&list(&["x"]), &SeenName::Missing));
        let roles_only = Patch::new(planned(&["x"], true), false, None);
        assert!(roles_only.is_shown_by(&list(&["x", "editor"]), &SeenName::Odd));
        assert!(!roles_only.is_shown_by(&list(&["editor", "x"]), &SeenName::Missing));
    }
}
