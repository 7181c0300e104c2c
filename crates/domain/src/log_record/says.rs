//! What a record says about its user: the part of the local copy that it tells, and whether the profile is worth reading for
//! the rest.
//!
//! Owns where in a record a field stands. Must never say anything for a record without a date: it is a hint to look, and
//! no more.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::object::Object;
use super::{Tells, clean_text, date, user};
use crate::ids::UserId;
use crate::json_text;
use crate::local_copy::LocalCopy;

/// Members of a request that change nothing which only an answer may tell.
const OF_NO_WEIGHT: [&str; 5] = ["name", "picture", "password", "connection", "client_id"];
/// Members of a user that each login changes.
const OF_LOGINS: [&str; 5] = [
    "updated_at",
    "last_login",
    "last_ip",
    "logins_count",
    "identities",
];

/// A user, and what a record says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// Who.
    pub user: UserId<'static>,
    /// What.
    pub copy: LocalCopy,
    /// The record tells of a change that only an answer may bring into the copy.
    pub ask: bool,
}

/// What a log record says; `tells` is what was read of it before.
pub(super) fn of_record(record: &Object<'_>, tells: &Tells) -> Option<Says> {
    let at = date(record, "date")?;
    let mut copy = LocalCopy::default();
    let (user, ask) = match tells {
        Tells::Login { user } => {
            copy.last_login_at = Some(at);
            came_as(&mut copy, record, at);
            (user.clone(), false)
        }
        Tells::SignUp { user } => {
            came_as(&mut copy, record, at);
            // The body is what a visitor sent.
            let body = record.object("details").and_then(|details| map(&details, "body"));
            copy.record(&body.unwrap_or_default(), at);
            (user.clone(), false)
        }
        Tells::Written { user, .. } => (user.clone(), write(&mut copy, record, user, at)),
        Tells::Deleted { user } => (user.clone(), false),
        Tells::Other => (changed(&mut copy, record, at)?, true),
        Tells::ManyWritten => return None,
    };
    Some(Says { user, copy, ask })
}

/// What an event of Event Streams says: `data.object` is the user as it is after the change.
pub(super) fn of_event(top: &Object<'_>, tells: &Tells) -> Option<Says> {
    let at = date(top, "time")?;
    let mut copy = LocalCopy::default();
    let (user, ask) = match tells {
        Tells::Written { user, .. } => {
            let data = top.object("data");
            let state = |name| data.as_ref().and_then(|data| map(data, name));
            let now = state("object").unwrap_or_default();
            copy.record(&now, LocalCopy::date_of(&now).unwrap_or(at));
            let ask = state("previous_object").is_none_or(|before| differ(&before, &now));
            (user.clone(), ask)
        }
        Tells::Deleted { user } => (user.clone(), false),
        _ => return None,
    };
    Some(Says { user, copy, ask })
}

/// A write through the Management API: the user where the answer shows it, else what was asked for. Answers whether it changed
/// what only an answer may tell.
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
    // Whoever is read after a creation is read as created.
    !is_creation(details.as_ref()) && asked.is_none_or(weighs)
}

fn is_creation(details: Option<&Object<'_>>) -> bool {
    let request = details.and_then(|details| details.object("request"));
    let path = request.and_then(|request| request.text("path"));
    path.is_some_and(|path| path.trim_end_matches('/').ends_with("/users"))
}

/// Whether two states of a user differ in what only an answer may tell.
fn differ(before: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    let of_weight = |name: &&String| {
        let name = name.as_str();
        !OF_NO_WEIGHT.contains(&name) && !OF_LOGINS.contains(&name)
    };
    let mut names = before.keys().chain(now.keys()).filter(of_weight);
    names.any(|name| before.get(name) != now.get(name))
}

/// Changes by the user's own hand that have a record of their own.
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

/// Under which name the user came in: an address, a number or a username, as the connection has it.
fn came_as(copy: &mut LocalCopy, record: &Object<'_>, at: OffsetDateTime) {
    let name = clean_text(record, "user_name");
    if let Some(email) = name.filter(|name| name.contains('@') && !name.contains(char::is_whitespace)) {
        copy.record_text("email", &email, at);
    }
}

fn map(object: &Object<'_>, name: &str) -> Option<Map<String, Value>> {
    json_text::object(object.get(name)?)
}
