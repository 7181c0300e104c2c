//! The two calls on users: read one, patch one.
//!
//! Owns the form of a profile as Auth0 shows it. Must never send an `app_metadata` or `user_metadata` that is an empty
//! object or null (Auth0 takes the former as "delete everything"), never read a `roles` it does not understand as an
//! empty list, and never a name it does not understand as missing.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::client::{Client, Reply};
use super::error::{CallError, LaterWhy, Outcome};
use super::profile_text;
use crate::domain::date;
use crate::domain::display_name::SeenName;
use crate::domain::ids::UserId;
use crate::domain::plan::SeenRoles;

/// All but the unreserved characters of RFC 3986, 2.3.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a decision about roles needs of a user, and nothing that the user's own tools can make large. Auth0 docs,
/// get-users-by-id: `fields` with `include_fields` leaves out all else.
const NEEDED: &str = "fields=user_id%2Ccreated_at%2Cupdated_at%2Capp_metadata&include_fields=true";
/// An id that no user has: what Auth0 answers to it says whether it takes our calls at all.
const NO_USER: &str = "auth0|rolekeeper-asks-for-no-user";

/// Reads users; all that a planner gets.
#[derive(Clone)]
pub struct Reader(Client);

/// Patches users.
#[derive(Clone)]
pub struct Writer(Client);

/// A user as Auth0 showed it: the object, of which we understand a few fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    json: Map<String, Value>,
    date: Option<OffsetDateTime>,
    /// False where only what a decision needs was asked for.
    whole: bool,
    /// Some text in it was no text and has been made legible.
    repaired: bool,
}

impl Reader {
    /// Reads with `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// The canonical domain of the tenant, as the audience of its Management API names it; a custom domain has the same.
    #[must_use]
    pub fn tenant(&self) -> String {
        self.0.tenant()
    }

    /// Takes a token, if there is none: the tenant exists, and this client is one of its own.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn authorize(&self) -> Result<(), CallError> {
        self.0.authorize().await
    }

    /// `GET /api/v2/users/{id}`: shows every completed write (Auth0 docs, get-users-by-id-or-email).
    pub async fn get_user(&self, user: &UserId<'_>) -> Reply<Profile> {
        call(&self.0, Method::GET, user, None, true).await
    }

    /// The same with what a decision about roles needs alone, for a profile that is too large or cannot be read whole.
    pub async fn get_needed(&self, user: &UserId<'_>) -> Reply<Profile> {
        call(&self.0, Method::GET, user, None, false).await
    }

    /// Asks for a user that does not exist: [`CallError::Gone`] says that Auth0 takes our calls.
    ///
    /// # Panics
    /// Never: the id is a constant.
    pub async fn get_nobody(&self) -> Reply<Profile> {
        let nobody = UserId::parse(NO_USER).expect("a constant that is an id");
        call(&self.0, Method::GET, &nobody, None, false).await
    }
}

impl Writer {
    /// Writes with `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// `PATCH /api/v2/users/{id}`: answers the whole profile as it is after the write.
    pub async fn patch_user(&self, user: &UserId<'_>, patch: &Value) -> Reply<Profile> {
        if let Some(message) = destructive(patch) {
            let refused = CallError::Refused {
                status: 0,
                error_code: None,
                message: message.to_owned(),
            };
            return Reply {
                result: Err(refused),
                rate: super::RateHeaders::default(),
                date: None,
            };
        }
        call(&self.0, Method::PATCH, user, Some(patch), true).await
    }
}

async fn call(
    client: &Client,
    method: Method,
    user: &UserId<'_>,
    body: Option<&Value>,
    whole: bool,
) -> Reply<Profile> {
    if matches!(user.as_str(), "." | "..") {
        // As a path segment these mean another path (RFC 3986, 5.2.4), and no id at Auth0 looks like that.
        return Reply {
            result: Err(CallError::Gone { at: None }),
            rate: super::RateHeaders::default(),
            date: None,
        };
    }
    let id = utf8_percent_encode(user.as_str(), RESERVED);
    let path = if whole {
        format!("users/{id}")
    } else {
        format!("users/{id}?{NEEDED}")
    };
    let outcome = if body.is_some() {
        Outcome::Unknown
    } else {
        Outcome::NotSent
    };
    let Reply { result, rate, date } = client.call(method, &path, body).await;
    let result = result.and_then(|body| {
        let profile = Profile::parse(&body, whole).map_err(|detail| CallError::Later {
            why: LaterWhy::BadAnswer,
            outcome,
            detail,
        });
        profile.map(|profile| Profile { date, ..profile })
    });
    Reply { result, rate, date }
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
    fn parse(body: &[u8], whole: bool) -> Result<Self, String> {
        let (json, repaired) = profile_text::object(body)?;
        if json.get("user_id").is_some_and(Value::is_string) {
            Ok(Self {
                json,
                date: None,
                whole,
                repaired,
            })
        } else {
            Err("an object without user_id".to_owned())
        }
    }

    /// `app_metadata.roles` as it stands.
    #[must_use]
    pub fn roles(&self) -> SeenRoles {
        let roles = match self.json.get("app_metadata") {
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
                match list {
                    None => SeenRoles::Odd("an array with entries that are not strings".to_owned()),
                    // Written back it would be another entry than the one that is there.
                    Some(list) if list.iter().any(|role| self.is_unfaithful(role)) => {
                        SeenRoles::Odd("an array with an entry that is no legible text".to_owned())
                    }
                    Some(list) => SeenRoles::List(list),
                }
            }
            Some(other) => SeenRoles::Odd(kind(other).to_owned()),
        }
    }

    /// Whether a text may stand for something else at Auth0, or cannot be stored here.
    fn is_unfaithful(&self, text: &str) -> bool {
        text.contains('\0') || (self.repaired && text.contains(char::REPLACEMENT_CHARACTER))
    }

    /// `updated_at` as sent: changes with each login and each write.
    #[must_use]
    pub fn updated_at(&self) -> Option<&str> {
        self.json.get("updated_at")?.as_str()
    }

    /// `user_metadata.displayName` as it stands.
    #[must_use]
    pub fn display_name(&self) -> SeenName {
        if !self.whole {
            // Not asked for, so not to be written over.
            return SeenName::Odd;
        }
        let name = match self.json.get("user_metadata") {
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

    /// `Date` of the answer that showed it: when Auth0 sent it, by its own clock, in whole seconds.
    #[must_use]
    pub fn date(&self) -> Option<OffsetDateTime> {
        self.date
    }

    /// The whole object.
    #[must_use]
    pub fn json(&self) -> &Map<String, Value> {
        &self.json
    }

    /// Whether this is all that Auth0 has of the user.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// When the account was made, by Auth0's clock.
    #[must_use]
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        date::of_text(self.json.get("created_at")?.as_str()?)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        unread if profile_text::is_unread(unread) => "JSON that cannot be read",
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
        Profile::parse(profile.to_string().as_bytes(), true)
            .unwrap()
            .roles()
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
            true,
        )
        .unwrap();
        assert_eq!(
            (profile.updated_at(), profile.display_name()),
            (Some("2026-01-01"), SeenName::Is("Ann".into()))
        );
        assert_eq!(profile.json()["x"], json!([1]));
        let bare = Profile::parse(br#"{"user_id":"a|1"}"#, true).unwrap();
        assert_eq!(
            (bare.updated_at(), bare.display_name()),
            (None, SeenName::Missing)
        );
    }

    #[test]
    fn a_name_is_missing_there_or_odd() {
        let seen = |metadata: Value| {
            let profile = json!({"user_id": "a|1", "user_metadata": metadata});
            Profile::parse(profile.to_string().as_bytes(), true)
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
