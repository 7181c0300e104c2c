//! The two calls on users: read a user, patch a user.
//!
//! Owns the format of a profile. Must never send an `app_metadata` or `user_metadata` that is an empty object or null (Auth0
//! takes the former as "delete everything"), never read a `roles` of unknown format as an empty list, and never a name of
//! unknown format as missing.

mod identities;
mod search;

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
pub(super) use search::FIELDS;
pub use search::{Account, HolderPage};

/// All characters except the unreserved ones of RFC 3986, 2.3.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Whether a text from outside would, as a segment of a path, mean another path (RFC 3986, 5.2.4). No id at Auth0 has this form.
pub(super) fn is_dots(id: &str) -> bool {
    matches!(id, "." | "..")
}

/// Query for the fields that a decision about roles needs, without those that a user can make large. Auth0 docs,
/// get-users-by-id: `fields` with `include_fields` leaves out all other fields.
const NEEDED: &str = "fields=user_id%2Cidentities%2Cblocked%2Cemail_verified%2Ccreated_at%2Cupdated_at%2Capp_metadata&include_fields=true";
/// An id that no user has: Auth0's response to it shows whether Auth0 accepts our calls.
const NO_USER: &str = "auth0|rolekeeper-asks-for-no-user";

/// Reads users. Code that only plans gets this type and no [`Writer`].
#[derive(Clone)]
pub struct Reader(Client);

/// Patches users.
#[derive(Clone)]
pub struct Writer(Client);

/// A user as Auth0 returned it: the whole object, of which a few fields are used.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    json: Map<String, Value>,
    date: Option<OffsetDateTime>,
    /// False where only the fields for a decision were requested.
    whole: bool,
    /// Whether invalid text in it was replaced.
    repaired: bool,
    /// Whether it has no `app_metadata`, and no other profile had any since the token was fetched.
    doubtful: bool,
}

impl Reader {
    /// Ensures that the token is valid for calls during `lasting`, so that none of them waits for a new token.
    pub async fn prepare(&self, lasting: Duration) -> Reply<()> {
        self.0.prepare(lasting).await
    }

    /// Returns a reader that uses `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// Returns the canonical domain of the tenant, from the audience of its Management API; it is the same with a custom domain.
    #[must_use]
    pub fn tenant(&self) -> String {
        self.0.tenant()
    }

    /// Fetches a token, if none is cached. Success proves that the tenant exists and knows this client.
    ///
    /// # Errors
    /// No token could be fetched.
    pub async fn authorize(&self) -> Result<(), CallError> {
        self.0.authorize().await
    }

    /// Returns the scopes that the token states, separated by spaces; none without a token, or if it states none.
    pub async fn scopes(&self) -> Option<String> {
        self.0.scopes().await
    }

    /// Calls `GET /api/v2/users/{id}`: the response includes every completed write (Auth0 docs, get-users-by-id-or-email).
    pub async fn get_user(&self, user: &UserId<'_>) -> Reply<Profile> {
        call(&self.0, Method::GET, user, None, true).await
    }

    /// As [`Self::get_user`], with only the fields for a decision about roles: for a profile that is too large or cannot be
    /// parsed as a whole.
    pub async fn get_needed(&self, user: &UserId<'_>) -> Reply<Profile> {
        call(&self.0, Method::GET, user, None, false).await
    }

    /// Reads a user that does not exist: [`CallError::Gone`] proves that Auth0 accepts our calls.
    ///
    /// # Panics
    /// Never: the id is a constant.
    pub async fn get_nobody(&self) -> Reply<Profile> {
        let unknown = UserId::parse(NO_USER).expect("a constant that is an id");
        call(&self.0, Method::GET, &unknown, None, false).await
    }
}

impl Writer {
    /// Returns a writer that uses `client`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    /// Calls `PATCH /api/v2/users/{id}`: returns the whole profile after the write. The call is not sent after `until`.
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
    if is_dots(user.as_str()) {
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
    let reply = client.call(method, &path, write).await;
    let date = reply.date;
    reply.map_result(|result| {
        let profile = Profile::parse(&result?, user, whole).map_err(|detail| CallError::Later {
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
    })
}

/// Returns the fault of a patch that Auth0 takes, or may take, as "delete everything".
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
    /// Parses the body of a success; an error names its content when it is not the requested user.
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
            Some(_) => Err("a profile of another user than the requested one".to_owned()),
            None => Err("an object without user_id".to_owned()),
        }
    }

    fn lacks_app_metadata(&self) -> bool {
        !self.json.contains_key("app_metadata")
    }

    /// Returns whether `app_metadata` may be hidden from the client rather than missing: this profile has none, and no profile
    /// had any since the token was fetched.
    #[must_use]
    pub fn may_hide_roles(&self) -> bool {
        self.doubtful
    }

    /// Returns `app_metadata.roles`.
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
                    // A write would replace the entry with another text.
                    Some(list) if list.iter().any(|role| self.is_unfaithful(role)) => {
                        SeenRoles::Odd("an array with an entry that is not valid text".to_owned())
                    }
                    Some(list) => SeenRoles::List(list),
                }
            }
            Some(other) => SeenRoles::Odd(kind(other).to_owned()),
        }
    }

    /// Returns whether a text may differ from the text at Auth0, or cannot be stored here.
    fn is_unfaithful(&self, text: &str) -> bool {
        text.contains('\0') || (self.repaired && text.contains(char::REPLACEMENT_CHARACTER))
    }

    /// Returns `updated_at` as sent; it changes with each login and each write.
    #[must_use]
    pub fn updated_at(&self) -> Option<&str> {
        self.json.get("updated_at")?.as_str()
    }

    /// Returns `user_metadata.displayName`.
    #[must_use]
    pub fn display_name(&self) -> SeenName {
        if !self.whole {
            // The name was not requested, so it must not be overwritten.
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

    /// Returns the `Date` of the response: when Auth0 sent it, by Auth0's clock, in whole seconds.
    #[must_use]
    pub fn date(&self) -> Option<OffsetDateTime> {
        self.date
    }

    /// Returns the whole object.
    #[must_use]
    pub fn json(&self) -> &Map<String, Value> {
        &self.json
    }

    /// Returns whether this is the whole profile.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns when the account was created, by Auth0's clock.
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
