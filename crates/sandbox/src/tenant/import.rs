//! Users taken over from another tenant: whole profiles, as the Management API returns them.
//!
//! Owns the check of such a profile, and what is filled in where it says nothing. Must never change what it says: ids and
//! dates stay. Metadata keys that a write could not set are kept, since the profile was a tenant's.

use serde_json::Value;
use time::OffsetDateTime;

use super::Tenant;
use super::calls::Actor;
use super::change::Change;
use super::merge::Object;
use super::profile::{self, type_name};

/// Why a profile cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct UnusableUser {
    /// The field that is wrong; `user` for the profile as a whole.
    pub field: String,
    /// The fault.
    pub problem: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Number,
    Object,
    Text,
}

/// Root attributes that the tenant reads. Others are kept as they are: identity providers add many.
const KINDS: [(&str, Kind); 19] = [
    ("app_metadata", Kind::Object),
    ("blocked", Kind::Flag),
    ("created_at", Kind::Text),
    ("email", Kind::Text),
    ("email_verified", Kind::Flag),
    ("family_name", Kind::Text),
    ("given_name", Kind::Text),
    ("last_ip", Kind::Text),
    ("last_login", Kind::Text),
    ("logins_count", Kind::Number),
    ("name", Kind::Text),
    ("nickname", Kind::Text),
    ("password", Kind::Text),
    ("phone_number", Kind::Text),
    ("phone_verified", Kind::Flag),
    ("picture", Kind::Text),
    ("updated_at", Kind::Text),
    ("user_metadata", Kind::Object),
    ("username", Kind::Text),
];

impl Tenant {
    /// A user of another tenant, as GET returned it; leaves no log record. What is missing is filled in as for a new user.
    /// A `password`, which GET never returns, lets the user log in.
    pub fn import_user(&self, user: Value) -> Result<(), UnusableUser> {
        let sent = match user {
            Value::Object(sent) => sent,
            other => return Err(expected("user", "an object", &other)),
        };
        let id = user_id(&sent)?.to_owned();
        check(&sent)?;
        self.change(Actor::Unrecorded, |state, now| {
            if state.users.contains_key(&id) {
                return Err(unusable("user_id", "another user has it already"));
            }
            let user = taken_over(&id, &sent, now);
            Ok(Some(Change::Created { user, sent }))
        })?;
        Ok(())
    }
}

fn user_id(sent: &Object) -> Result<&str, UnusableUser> {
    match sent.get("user_id") {
        None => Err(unusable("user_id", "it is missing")),
        Some(Value::String(id)) if id.is_empty() => Err(unusable("user_id", "it is empty")),
        Some(Value::String(id)) => Ok(id),
        Some(other) => Err(expected("user_id", "a string", other)),
    }
}

fn check(sent: &Object) -> Result<(), UnusableUser> {
    for (field, kind) in KINDS {
        let Some(value) = sent.get(field) else { continue };
        let (is_valid, name) = match kind {
            Kind::Flag => (value.is_boolean(), "a boolean"),
            Kind::Number => (value.is_u64(), "a whole number"),
            Kind::Object => (value.is_object(), "an object"),
            Kind::Text => (value.is_string(), "a string"),
        };
        if !is_valid {
            return Err(expected(field, name, value));
        }
    }
    match sent.get("identities") {
        None => Ok(()),
        Some(Value::Array(identities)) if identities.is_empty() => {
            Err(unusable("identities", "the array is empty"))
        }
        Some(Value::Array(identities)) => identities.iter().enumerate().try_for_each(check_identity),
        Some(other) => Err(expected("identities", "an array", other)),
    }
}

fn check_identity((place, identity): (usize, &Value)) -> Result<(), UnusableUser> {
    for part in ["connection", "provider", "user_id"] {
        if !identity[part].is_string() {
            let field = format!("identities[{place}].{part}");
            return Err(expected(&field, "a string", &identity[part]));
        }
    }
    Ok(())
}

/// The profile with what a new user would have too.
fn taken_over(id: &str, sent: &Object, now: OffsetDateTime) -> Object {
    let mut basis = Object::new();
    for field in ["connection", "email", "username"] {
        if let Some(value) = sent.get(field) {
            basis.insert(field.into(), value.clone());
        }
    }
    let mut user = profile::created(id, &basis, now);
    for (field, value) in sent {
        if !["connection", "password"].contains(&field.as_str()) {
            user.insert(field.clone(), value.clone());
        }
    }
    user
}

fn unusable(field: &str, problem: &str) -> UnusableUser {
    UnusableUser {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

fn expected(field: &str, wanted: &str, found: &Value) -> UnusableUser {
    unusable(field, &format!("expected {wanted}, found {}", type_name(found)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(user: &Value) -> String {
        let user = user.as_object().unwrap();
        let found = user_id(user).and_then(|_| check(user));
        found.map_or_else(|why| why.to_string(), |()| "none".into())
    }

    #[test]
    fn a_profile_is_refused_by_its_field() {
        let table = [
            (json!({"user_id": "a|1", "from_a_provider": [1]}), "none"),
            (json!({"email": "a@b.c"}), "user_id: it is missing"),
            (json!({"user_id": 7}), "user_id: expected a string, found integer"),
            (
                json!({"user_id": "a|1", "app_metadata": []}),
                "app_metadata: expected an object, found array",
            ),
            (
                json!({"user_id": "a|1", "logins_count": -1}),
                "logins_count: expected a whole number, found integer",
            ),
            (
                json!({"user_id": "a|1", "identities": [{"connection": "c", "user_id": "1"}]}),
                "identities[0].provider: expected a string, found null",
            ),
        ];
        for (user, expected) in table {
            assert_eq!(problem(&user), expected, "{user}");
        }
    }

    #[test]
    fn what_a_profile_says_is_kept_and_the_rest_filled_in() {
        let sent = json!({
            "user_id": "google-oauth2|7", "email": "a@example.com", "password": "x",
            "created_at": "2020-01-01T00:00:00.000Z", "app_metadata": {"https://a.b/c": 1},
        });
        let user = taken_over(
            "google-oauth2|7",
            sent.as_object().unwrap(),
            OffsetDateTime::UNIX_EPOCH,
        );
        for field in ["user_id", "email", "created_at", "app_metadata"] {
            assert_eq!(user[field], sent[field], "{field}");
        }
        assert_eq!(user["identities"][0]["provider"], "google-oauth2");
        assert_eq!(user["name"], "a@example.com");
        assert!(!user.contains_key("password"));
    }
}
