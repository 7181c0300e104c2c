//! The two calls on users: read one, patch one.
//!
//! Owns the form of a profile as Auth0 shows it. Must never send an `app_metadata` or `user_metadata` that is an empty
//! object or null (Auth0 takes the former as "delete everything"), never read a `roles` it does not understand as an
//! empty list, and never a name it does not understand as missing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::client::Client;
use super::error::{CallError, LaterWhy, Outcome};
use super::profile_text;
use super::reply::{Reply, Write};
use rolekeeper_domain::date;
use rolekeeper_domain::display_name::SeenName;
use rolekeeper_domain::ids::UserId;
use rolekeeper_domain::plan::SeenRoles;

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
    /// It has no `app_metadata`, and no other profile has shown any since the token was taken.
    doubtful: bool,
}

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
        call(&self.0, Method::PATCH, user, Some(write), true).await
    }
}

async fn call(
    client: &Client,
    method: Method,
    user: &UserId<'_>,
    write: Option<Write<'_>>,
    whole: bool,
) -> Reply<Profile> {
    if matches!(user.as_str(), "." | "..") {
        // As a path segment these mean another path (RFC 3986, 5.2.4), and no id at Auth0 looks like that.
        return CallError::Gone { at: None }.into();
    }
    let id = utf8_percent_encode(user.as_str(), RESERVED);
    let path = if whole {
        format!("users/{id}")
    } else {
        format!("users/{id}?{NEEDED}")
    };
    let outcome = if write.is_some() {
        Outcome::Unknown
    } else {
        Outcome::NotSent
    };
    let Reply {
        result,
        rate,
        date,
        answered_at,
    } = client.call(method, &path, write).await;
    let result = result.and_then(|body| {
        let profile = Profile::parse(&body, user, whole).map_err(|detail| CallError::Later {
            why: LaterWhy::BadAnswer,
            outcome,
            detail,
        });
        let profile = profile?;
        let shown = &client.tokens.app_metadata_shown;
        if profile.lacks_app_metadata() {
            let doubtful = !shown.load(Ordering::Relaxed);
            return Ok(Profile {
                date,
                doubtful,
                ..profile
            });
        }
        shown.store(true, Ordering::Relaxed);
        Ok(Profile { date, ..profile })
    });
    Reply {
        result,
        rate,
        date,
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
    /// Reads a success' body; says what it is when it is not the user that was asked for.
    fn parse(body: &[u8], user: &UserId<'_>, whole: bool) -> Result<Self, String> {
        let (json, repaired) = profile_text::object(body)?;
        match json.get("user_id").and_then(Value::as_str) {
            Some(shown) if shown == user.as_str() => Ok(Self {
                json,
                date: None,
                whole,
                repaired,
                doubtful: false,
            }),
            Some(_) => Err("a profile of another user than the one that was asked for".to_owned()),
            None => Err("an object without user_id".to_owned()),
        }
    }

    fn lacks_app_metadata(&self) -> bool {
        !self.json.contains_key("app_metadata")
    }

    /// Whether `app_metadata` may be hidden from the client rather than missing: it is not there, and no profile has shown any
    /// since the token was taken.
    #[must_use]
    pub fn may_hide_roles(&self) -> bool {
        self.doubtful
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
mod tests;
