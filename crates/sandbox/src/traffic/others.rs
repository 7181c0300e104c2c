//! Data of other clients: the rest of each user's `app_metadata`, and all roles except the managed one.
//!
//! Owns the expected data, from the writes of other clients; a profile shows the actual data.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ROLE;
use super::cast::Cast;

/// The expected data of each user, by user id.
#[derive(Clone, Debug, Default)]
pub struct Others(BTreeMap<String, Map<String, Value>>);

impl Others {
    /// Returns the initial data of the cast.
    #[must_use]
    pub fn new(cast: &Cast) -> Self {
        let users = cast.users.iter();
        Self(
            users
                .map(|user| (user.id.clone(), of(user.profile.get("app_metadata"))))
                .collect(),
        )
    }

    /// Notes that another client sets a key.
    pub fn set(&mut self, user: &str, key: &str, value: Value) {
        self.0
            .entry(user.to_owned())
            .or_default()
            .insert(key.to_owned(), value);
    }

    /// Notes that another client adds a role at the end.
    pub fn add_role(&mut self, user: &str, role: &str) {
        let roles = self.0.entry(user.to_owned()).or_default().entry("roles");
        if let Value::Array(roles) = roles.or_insert_with(|| Value::Array(vec![])) {
            roles.push(role.into());
        }
    }

    /// Returns the users with data of other clients, and the data.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.0
            .iter()
            .filter(|(_, has)| !has.is_empty())
            .map(|(user, has)| (user.as_str(), has))
    }

    /// Returns the roles of other clients that a user should have.
    #[must_use]
    pub fn roles(&self, user: &str) -> Vec<&str> {
        let roles = self.0.get(user).and_then(|has| has.get("roles")?.as_array());
        roles.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// Returns the data of other clients in an `app_metadata`. An empty list of roles counts as no list.
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

/// Returns whether the managed role is in an `app_metadata`.
#[must_use]
pub fn holds(app_metadata: Option<&Value>) -> bool {
    let roles = app_metadata.and_then(|all| all.get("roles")?.as_array());
    roles.is_some_and(|roles| roles.iter().any(|role| role == ROLE))
}
