//! What belongs to others: the rest of each user's `app_metadata`, and all roles but the earned one.
//!
//! Owns what it should be, from what was put there; a profile shows what it is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ROLE;
use super::cast::Cast;

/// What each user should have, by user id.
#[derive(Clone, Debug, Default)]
pub struct Others(BTreeMap<String, Map<String, Value>>);

impl Others {
    /// As the cast brings it along.
    #[must_use]
    pub fn new(cast: &Cast) -> Self {
        let users = cast.users.iter();
        Self(
            users
                .map(|user| (user.id.clone(), of(user.profile.get("app_metadata"))))
                .collect(),
        )
    }

    /// Somebody sets a key.
    pub fn set(&mut self, user: &str, key: &str, value: Value) {
        self.0
            .entry(user.to_owned())
            .or_default()
            .insert(key.to_owned(), value);
    }

    /// Somebody adds a role at the end.
    pub fn add_role(&mut self, user: &str, role: &str) {
        let roles = self.0.entry(user.to_owned()).or_default().entry("roles");
        if let Value::Array(roles) = roles.or_insert_with(|| Value::Array(vec![])) {
            roles.push(role.into());
        }
    }

    /// Users who have anything of that kind, and what.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.0
            .iter()
            .filter(|(_, has)| !has.is_empty())
            .map(|(user, has)| (user.as_str(), has))
    }

    /// The roles of others that a user should have.
    #[must_use]
    pub fn roles(&self, user: &str) -> Vec<&str> {
        let roles = self.0.get(user).and_then(|has| has.get("roles")?.as_array());
        roles.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// What belongs to others in an `app_metadata`. A list without roles is the same as no list.
#[must_use]
pub fn of(app_metadata: Option<&Value>) -> Map<String, Value> {
    let mut rest = app_metadata
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(Value::Array(roles)) = rest.get_mut("roles") {
        roles.retain(|role| role != ROLE);
        if roles.is_empty() {
            rest.remove("roles");
        }
    }
    rest
}

/// Whether the earned role is in an `app_metadata`.
#[must_use]
pub fn holds(app_metadata: Option<&Value>) -> bool {
    let roles = app_metadata.and_then(|all| all.get("roles")?.as_array());
    roles.is_some_and(|roles| roles.iter().any(|role| role == ROLE))
}
