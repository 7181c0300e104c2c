//! The two calls on users: read one, patch one.
//!
//! Owns the form of a profile as Auth0 shows it. Must never send an `app_metadata` or `user_metadata` that is an empty
//! object or null (Auth0 takes the former as "delete everything"), never read a `roles` it does not understand as an
//! empty list, and never a name it does not understand as missing.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::client::{Client, Reply, Write};
use super::error::{CallError, LaterWhy, Outcome, looks_like_html, presentable};
use crate::domain::display_name::SeenName;
use crate::domain::ids::UserId;
use crate::domain::plan::SeenRoles;

/// All but the unreserved characters of RFC 3986, 2.3.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Reads users; all that a planner gets.
#[derive(Clone)]
pub struct Reader(Client);

/// Patches users.
#[derive(Clone)]
pub struct Writer(Client);

/// A user as Auth0 showed it: the whole object, of which we understand a few fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile(Map<String, Value>);

impl Reader {
    /// Makes sure that the token is good for calls of the next `lasting`, so that none of them has to wait for one.
    pub async fn prepare(&self, lasting: Duration) -> Reply<()> {
        self.0.prepare(lasting).await
    }

    /// Reads with `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// `GET /api/v2/users/{id}`: shows every completed write (Auth0 docs, get-users-by-id-or-email).
    pub async fn get_user(&self, user: &UserId<'_>) -> Reply<Profile> {
        call(&self.0, Method::GET, user, None).await
    }
}

impl Writer {
    /// Writes with `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// `PATCH /api/v2/users/{id}`: answers the whole profile as it is after the write. It is not sent after `until`.
    pub async fn patch_user(&self, user: &UserId<'_>, patch: &Value, until: Instant) -> Reply<Profile> {
        if let Some(message) = destructive(patch) {
            let refused = CallError::Refused {
                status: 0,
                error_code: None,
                message: message.to_owned(),
            };
            return refused.into();
        }
        let write = Write { body: patch, until };
        call(&self.0, Method::PATCH, user, Some(write)).await
    }
}

async fn call(
    client: &Client,
    method: Method,
    user: &UserId<'_>,
    write: Option<Write<'_>>,
) -> Reply<Profile> {
    if matches!(user.as_str(), "." | "..") {
        // As a path segment these mean another path (RFC 3986, 5.2.4), and no id at Auth0 looks like that.
        return CallError::Gone.into();
    }
    let path = format!("users/{}", utf8_percent_encode(user.as_str(), RESERVED));
    let outcome = if write.is_some() {
        Outcome::Unknown
    } else {
        Outcome::NotSent
    };
    let Reply {
        result,
        rate,
        answered_at,
    } = client.call(method, &path, write).await;
    let result = result.and_then(|body| {
        Profile::parse(&body).map_err(|detail| CallError::Later {
            why: LaterWhy::BadAnswer,
            outcome,
            detail,
        })
    });
    Reply {
        result,
        rate,
        answered_at,
    }
}

/// What is wrong with a patch that Auth0 would take as "delete everything", or may.
fn destructive(patch: &Value) -> Option<&'static str> {
    let Some(patch) = patch.as_object() else {
        return Some("not sent: a patch must be an object");
    };
    let bad = |field: &str| {
        patch
            .get(field)
            .is_some_and(|value| value.as_object().is_none_or(Map::is_empty))
    };
    let message = "not sent: app_metadata and user_metadata must be objects with at least one key";
    ["app_metadata", "user_metadata"]
        .into_iter()
        .any(bad)
        .then_some(message)
}

impl Profile {
    /// Reads a success' body; says what it is when it is no user.
    fn parse(body: &[u8]) -> Result<Self, String> {
        let profile = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(profile)) => profile,
            Ok(_) => return Err("JSON, but no object".to_owned()),
            Err(_) if looks_like_html(body) => return Err("an HTML page".to_owned()),
            Err(error) => return Err(format!("no JSON: {}", presentable(&error.to_string()))),
        };
        if profile.get("user_id").is_some_and(Value::is_string) {
            Ok(Self(profile))
        } else {
            Err("an object without user_id".to_owned())
        }
    }

    /// `app_metadata.roles` as it stands.
    #[must_use]
    pub fn roles(&self) -> SeenRoles {
        let roles = match self.0.get("app_metadata") {
            None | Some(Value::Null) => return SeenRoles::Missing,
            Some(Value::Object(app_metadata)) => app_metadata.get("roles"),
            Some(other) => return SeenRoles::Odd(format!("inside an app_metadata that is {}", kind(other))),
        };
        match roles {
            None | Some(Value::Null) => SeenRoles::Missing,
            Some(Value::Array(entries)) => {
                let list: Option<Vec<String>> = entries
                    .iter()
                    .map(|entry| entry.as_str().map(str::to_owned))
                    .collect();
                list.map_or_else(
                    || SeenRoles::Odd("an array with entries that are not strings".to_owned()),
                    SeenRoles::List,
                )
            }
            Some(other) => SeenRoles::Odd(kind(other).to_owned()),
        }
    }

    /// `updated_at` as sent: changes with each login and each write.
    #[must_use]
    pub fn updated_at(&self) -> Option<&str> {
        self.0.get("updated_at")?.as_str()
    }

    /// `user_metadata.displayName` as it stands.
    #[must_use]
    pub fn display_name(&self) -> SeenName {
        let name = match self.0.get("user_metadata") {
            None | Some(Value::Null) => None,
            Some(Value::Object(metadata)) => metadata.get("displayName"),
            Some(_) => return SeenName::Odd,
        };
        match name {
            None | Some(Value::Null) => SeenName::Missing,
            Some(Value::String(name)) => SeenName::Is(name.clone()),
            Some(_) => SeenName::Odd,
        }
    }

    /// The whole object.
    #[must_use]
    pub fn json(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(mut profile: Value) -> SeenRoles {
        profile["user_id"] = json!("auth0|1");
        Profile::parse(profile.to_string().as_bytes()).unwrap().roles()
    }

    #[test]
    fn roles_are_a_list_missing_or_odd_and_never_guessed() {
        for nothing in [
            json!({}),
            json!({"app_metadata": null}),
            json!({"app_metadata": {}}),
            json!({"app_metadata": {"roles": null}}),
        ] {
            assert_eq!(seen(nothing.clone()), SeenRoles::Missing, "{nothing}");
        }
        let list = json!({"app_metadata": {"roles": ["b", "a", "b"]}});
        assert_eq!(
            seen(list),
            SeenRoles::List(vec!["b".into(), "a".into(), "b".into()])
        );
        assert_eq!(
            seen(json!({"app_metadata": {"roles": []}})),
            SeenRoles::List(vec![])
        );
        for (roles, what) in [
            (json!("admin"), "a string"),
            (json!({"a": 1}), "an object"),
            (json!(7), "a number"),
            (json!(["a", 1]), "an array with entries that are not strings"),
            (json!([null]), "an array with entries that are not strings"),
        ] {
            assert_eq!(
                seen(json!({"app_metadata": {"roles": roles}})),
                SeenRoles::Odd(what.into())
            );
        }
        assert_eq!(
            seen(json!({"app_metadata": ["roles"]})),
            SeenRoles::Odd("inside an app_metadata that is an array".into())
        );
    }

    #[test]
    fn the_other_fields_are_shown_as_they_are() {
        let profile = Profile::parse(
            br#"{"user_id":"a|1","updated_at":"2026-01-01","user_metadata":{"displayName":"Ann"},"x":[1]}"#,
        )
        .unwrap();
        assert_eq!(
            (profile.updated_at(), profile.display_name()),
            (Some("2026-01-01"), SeenName::Is("Ann".into()))
        );
        assert_eq!(profile.json()["x"], json!([1]));
        let bare = Profile::parse(br#"{"user_id":"a|1"}"#).unwrap();
        assert_eq!(
            (bare.updated_at(), bare.display_name()),
            (None, SeenName::Missing)
        );
    }

    #[test]
    fn a_name_is_missing_there_or_odd() {
        let seen = |metadata: Value| {
            let profile = json!({"user_id": "a|1", "user_metadata": metadata});
            Profile::parse(profile.to_string().as_bytes())
                .unwrap()
                .display_name()
        };
        for missing in [
            json!(null),
            json!({}),
            json!({"displayName": null}),
            json!({"display_name": "a"}),
        ] {
            assert_eq!(seen(missing.clone()), SeenName::Missing, "{missing}");
        }
        assert_eq!(seen(json!({"displayName": ""})), SeenName::Is(String::new()));
        for odd in [
            json!({"displayName": 7}),
            json!({"displayName": ["a"]}),
            json!({"displayName": {}}),
            json!("a"),
            json!([]),
        ] {
            assert_eq!(seen(odd.clone()), SeenName::Odd, "{odd}");
        }
    }

    #[test]
    fn a_patch_that_could_delete_everything_is_caught() {
        for bad in [
            json!({"app_metadata": {}}),
            json!({"app_metadata": null}),
            json!({"app_metadata": []}),
            json!({"user_metadata": {}}),
            json!({"user_metadata": null, "app_metadata": {"roles": []}}),
            json!([]),
        ] {
            assert!(destructive(&bad).is_some(), "{bad}");
        }
        for good in [
            json!({"app_metadata": {"roles": []}}),
            json!({"user_metadata": {"displayName": "a"}}),
        ] {
            assert!(destructive(&good).is_none(), "{good}");
        }
    }
}
