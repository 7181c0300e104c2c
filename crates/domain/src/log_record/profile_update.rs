//! Profile data in a record: the part of the local copy that it contains, and whether the rest must be read from the
//! profile.
//!
//! Owns the position of each field in a record. Must never use a record without a date as profile data: it is only a
//! hint to read the user.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::effect::Effect;
use super::fields::{clean_text, date, user};
use super::object::Object;
use crate::ids::UserId;
use crate::json_text;
use crate::local_copy::LocalCopy;

/// Members of a request that change nothing which must be read from Auth0's response.
const OF_NO_WEIGHT: [&str; 5] = ["name", "picture", "password", "connection", "client_id"];
/// Members of a user that each login changes.
const OF_LOGINS: [&str; 5] = [
    "updated_at",
    "last_login",
    "last_ip",
    "logins_count",
    "identities",
];

/// A user with the profile data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileUpdate {
    /// The user that the record describes.
    pub user: UserId<'static>,
    /// The profile data of the record.
    pub copy: LocalCopy,
    /// Whether the record reports a change that only Auth0's response may bring into the copy.
    pub ask: bool,
}

/// The profile data of a log record; `effect` is its parsed effect.
pub(super) fn of_record(record: &Object<'_>, effect: &Effect) -> Option<ProfileUpdate> {
    let at = date(record, "date")?;
    let mut copy = LocalCopy::default();
    let (user, ask) = match effect {
        Effect::Login { user } => {
            copy.last_login_at = Some(at);
            came_as(&mut copy, record, at);
            (user.clone(), false)
        }
        Effect::SignUp { user } => {
            came_as(&mut copy, record, at);
            // The body is input of an unauthenticated visitor.
            let body = record.object("details").and_then(|details| map(&details, "body"));
            copy.record(&body.unwrap_or_default(), at);
            (user.clone(), false)
        }
        Effect::Written { user, .. } => (user.clone(), write(&mut copy, record, user, at)),
        Effect::Deleted { user } | Effect::Touched { user } | Effect::Unlinked { user, .. } => {
            (user.clone(), false)
        }
        Effect::Other => (changed(&mut copy, record, at)?, true),
        Effect::BulkImport => return None,
    };
    Some(ProfileUpdate { user, copy, ask })
}

/// The profile data of an event of Event Streams: `data.object` is the user after the change.
pub(super) fn of_event(top: &Object<'_>, effect: &Effect) -> Option<ProfileUpdate> {
    let at = date(top, "time")?;
    let mut copy = LocalCopy::default();
    let (user, ask) = match effect {
        Effect::Written { user, .. } => {
            let data = top.object("data");
            let state = |name| data.as_ref().and_then(|data| map(data, name));
            let now = state("object").unwrap_or_default();
            copy.record(&now, LocalCopy::date_of(&now).unwrap_or(at));
            let ask = state("previous_object").is_none_or(|before| differ(&before, &now));
            (user.clone(), ask)
        }
        Effect::Deleted { user } => (user.clone(), false),
        _ => return None,
    };
    Some(ProfileUpdate { user, copy, ask })
}

/// A write through the Management API: the user where the response shows it, else the request. Returns whether it
/// changed a value that must be read from Auth0's response.
fn write(copy: &mut LocalCopy, record: &Object<'_>, user: &UserId<'_>, at: OffsetDateTime) -> bool {
    let details = record.object("details");
    let body = |side: &str| details.as_ref()?.object(side).and_then(|side| map(&side, "body"));
    let asked = body("request");
    let answer = body("response").filter(|answer| {
        let id = answer.get("user_id").and_then(Value::as_str);
        id == Some(user.as_str())
    });
    match &answer {
        Some(answer) => copy.record(answer, LocalCopy::date_of(answer).unwrap_or(at)),
        None => copy.record(asked.as_ref().unwrap_or(&Map::new()), at),
    }
    let weighs = |body: Map<String, Value>| body.keys().any(|name| !OF_NO_WEIGHT.contains(&name.as_str()));
    // A creation causes no read of its own: any later read shows the user as created.
    !is_creation(details.as_ref()) && asked.is_none_or(weighs)
}

fn is_creation(details: Option<&Object<'_>>) -> bool {
    let request = details.and_then(|details| details.object("request"));
    let path = request.and_then(|request| request.text("path"));
    path.is_some_and(|path| path.trim_end_matches('/').ends_with("/users"))
}

/// Whether two states of a user differ in a value that must be read from Auth0's response.
fn differ(before: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    let of_weight = |name: &&String| {
        let name = name.as_str();
        !OF_NO_WEIGHT.contains(&name) && !OF_LOGINS.contains(&name)
    };
    let mut names = before.keys().chain(now.keys()).filter(of_weight);
    names.any(|name| before.get(name) != now.get(name))
        || (before.contains_key("identities") && identities(before) != identities(now))
}

/// The ids of a user's identities; logins change their other members.
fn identities(user: &Map<String, Value>) -> Vec<(&Value, &Value)> {
    let all = user.get("identities").and_then(Value::as_array);
    let ids = all.into_iter().flatten();
    let mut ids: Vec<_> = ids
        .map(|one| (one.get("provider"), one.get("user_id")))
        .map(|(provider, id)| (provider.unwrap_or(&Value::Null), id.unwrap_or(&Value::Null)))
        .collect();
    ids.sort_unstable_by_key(|(provider, id)| (provider.to_string(), id.to_string()));
    ids
}

/// Changes by the user that have their own type of record.
fn changed(copy: &mut LocalCopy, record: &Object<'_>, at: OffsetDateTime) -> Option<UserId<'static>> {
    let kind = record.text("type")?;
    if !["sce", "scu", "scpn", "sv"].contains(&kind.as_str()) {
        return None;
    }
    let user = user(record, "user_id").ok().flatten()?;
    let body = record
        .object("details")
        .and_then(|details| details.object("body"));
    if let Some(email) = body
        .and_then(|body| body.text("newEmail"))
        .filter(|_| kind == "sce")
    {
        copy.record_text("email", &email, at);
    }
    Some(user)
}

/// The identifier of the login: an address, a number or a username, as the connection defines it.
fn came_as(copy: &mut LocalCopy, record: &Object<'_>, at: OffsetDateTime) {
    let name = clean_text(record, "user_name");
    if let Some(email) = name.filter(|name| name.contains('@') && !name.contains(char::is_whitespace)) {
        copy.record_text("email", &email, at);
    }
}

fn map(object: &Object<'_>, name: &str) -> Option<Map<String, Value>> {
    json_text::object(object.get(name)?)
}
