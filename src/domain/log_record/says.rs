//! What a record says about its user: the part of the local copy that it tells.
//!
//! Owns where in a record a field stands. Must never say anything for a record without a date: it is a hint to look, and
//! no more.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::object::Object;
use super::{Tells, WrittenRoles, clean_text, date, user};
use crate::domain::ids::UserId;
use crate::domain::local_copy::{LocalCopy, Source, roles_value, text_value, whole_micros};

/// A user, and what a record says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// Who.
    pub user: UserId<'static>,
    /// What.
    pub copy: LocalCopy,
}

/// What a log record says; `tells` is what was read of it before.
pub(super) fn of_record(record: &Object<'_>, tells: &Tells) -> Option<Says> {
    let at = date(record, "date").and_then(whole_micros)?;
    let (user, copy) = match tells {
        Tells::Login { user } => (user.clone(), login(record, at)),
        Tells::SignUp { user } => (user.clone(), sign_up(record, at)),
        Tells::Written { user, roles } => (user.clone(), write(record, user, roles, at)),
        Tells::Deleted { user } => (user.clone(), LocalCopy::deleted(at)),
        Tells::Other => changed(record, at)?,
        Tells::ManyWritten => return None,
    };
    Some(Says { user, copy })
}

/// What an event of Event Streams says: `data.object` is the user as it is after the change.
pub(super) fn of_event(top: &Object<'_>, tells: &Tells) -> Option<Says> {
    let at = date(top, "time").and_then(whole_micros)?;
    match tells {
        Tells::Written { user, .. } => {
            let now = top.object("data").and_then(|data| map(&data, "object"));
            let mut copy = LocalCopy::alive(at);
            whole(&mut copy, &now.unwrap_or_default(), at);
            Some(Says {
                user: user.clone(),
                copy,
            })
        }
        Tells::Deleted { user } => Some(Says {
            user: user.clone(),
            copy: LocalCopy::deleted(at),
        }),
        _ => None,
    }
}

fn login(record: &Object<'_>, at: OffsetDateTime) -> LocalCopy {
    let mut copy = LocalCopy::alive(at);
    copy.last_login_at = Some(at);
    connection(&mut copy, record, at);
    let details: Option<Value> = record
        .get("details")
        .and_then(|json| serde_json::from_str(json).ok());
    // Null counts mean missing (schema of `s`); a login from an existing session has none.
    let count = |holder: &Value| {
        let count = holder.get("stats")?.get("loginsCount")?;
        count.is_u64().then(|| count.clone())
    };
    let prompts = details
        .as_ref()
        .and_then(|details| details.get("prompts")?.as_array());
    let own = details.as_ref().and_then(count);
    let count = own.or_else(|| prompts?.iter().find_map(count));
    copy.say("logins_count", count, at);
    copy
}

/// The body is what was asked for, and was done.
fn sign_up(record: &Object<'_>, at: OffsetDateTime) -> LocalCopy {
    let mut copy = LocalCopy::alive(at);
    connection(&mut copy, record, at);
    let body = record.object("details").and_then(|details| map(&details, "body"));
    copy.part(&body.unwrap_or_default(), at);
    copy
}

/// A write through the Management API: the whole user where the answer shows it, else what was asked for.
fn write(record: &Object<'_>, user: &UserId<'_>, roles: &WrittenRoles, at: OffsetDateTime) -> LocalCopy {
    let mut copy = LocalCopy::alive(at);
    let details = record.object("details");
    let body = |side: &str| details.as_ref()?.object(side).and_then(|side| map(&side, "body"));
    let answer = body("response").filter(|answer| {
        let id = answer.get("user_id").and_then(Value::as_str);
        id == Some(user.as_str())
    });
    if let Some(answer) = answer {
        whole(&mut copy, &answer, at);
        return copy;
    }
    copy.part(&body("request").unwrap_or_default(), at);
    if *roles == WrittenRoles::Wiped {
        copy.say("roles", roles_value(&Value::Array(vec![])), at);
    }
    copy
}

/// A user as the record shows it, dated by its own `updated_at`. One without `created_at` is not the whole of it.
fn whole(copy: &mut LocalCopy, user: &Map<String, Value>, at: OffsetDateTime) {
    let own = LocalCopy::date_of(user).unwrap_or(at);
    copy.alive_at = copy.alive_at.max(Some(own));
    if user.get("created_at").is_some_and(Value::is_string) {
        copy.whole(user, own, Source::Record);
    } else {
        copy.part(user, own);
    }
}

/// Changes by the user's own hand that have a record of their own.
fn changed(record: &Object<'_>, at: OffsetDateTime) -> Option<(UserId<'static>, LocalCopy)> {
    let kind = record.text("type")?;
    let (name, new) = match kind.as_str() {
        "sce" => ("email", "newEmail"),
        "scu" => ("username", "newUsername"),
        "scpn" => ("phone_number", "new_phone_number"),
        "sv" => ("email_verified", ""),
        _ => return None,
    };
    let user = user(record, "user_id").ok().flatten()?;
    let mut copy = LocalCopy::alive(at);
    if kind == "sv" {
        copy.say(name, Some(Value::Bool(true)), at);
    } else {
        let body = record
            .object("details")
            .and_then(|details| details.object("body"));
        let text = body.and_then(|body| body.text(new));
        copy.say(
            name,
            text.and_then(|text| text_value(name, &text, Source::Record)),
            at,
        );
    }
    Some((user, copy))
}

/// Where and under which name the user came in. The name is an address, a number or a username, as the connection has it.
fn connection(copy: &mut LocalCopy, record: &Object<'_>, at: OffsetDateTime) {
    let mut say = |name: &str, text: Option<String>| {
        copy.say(
            name,
            text.and_then(|text| text_value(name, &text, Source::Record)),
            at,
        );
    };
    say("connection", clean_text(record, "connection"));
    say("strategy", clean_text(record, "strategy"));
    let Some(came_as) = clean_text(record, "user_name") else {
        return;
    };
    let number = came_as.strip_prefix('+');
    if came_as.contains('@') && !came_as.contains(char::is_whitespace) {
        say("email", Some(came_as));
    } else if number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
        say("phone_number", Some(came_as));
    } else if record
        .text("strategy_type")
        .is_some_and(|kind| kind == "database")
    {
        say("username", Some(came_as));
    }
}

fn map(object: &Object<'_>, name: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(object.get(name)?).ok()
}
