//! Parses one stored record of the tenant's log.
//!
//! Owns the reading of Auth0's log records (Auth0 docs, log event schemas) and of the user events of Event Streams. A
//! record is a hint to read a user, never the state of a user: it may come late, twice, out of order or not at all.
//! Must never refuse a record because its type or the shape of its details is unknown.

use time::OffsetDateTime;

use super::event::{Reason, Reject, bad_value};
use super::ids::UserId;
use super::json_text::replace_lone_surrogates;

mod effect;
mod fields;
mod object;
mod profile_update;
#[cfg(test)]
mod tests;
mod written;

pub use effect::Effect;
use fields::{clean_text, date, decoded, is_clean, subject, user};
pub(super) use object::Object;
pub use profile_update::ProfileUpdate;
pub use written::WrittenRoles;
use written::{changed_roles, requested_roles};

/// The parts of a record that rolekeeper uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Unique id of the record; `None` if the record has none.
    pub log_id: Option<String>,
    /// Auth0's event code (`s`, `sapi`, …), or the type of a `CloudEvent` (`user.updated`).
    pub kind: String,
    /// Time of the event by the record itself; `None` if missing or invalid.
    pub date: Option<OffsetDateTime>,
    /// The client whose token was used.
    pub client_id: Option<String>,
    /// `updated_at` of the user right after a write, where the record shows it. It has the same clock and the same
    /// value as `updated_at` of the profile; the record's `date` is some milliseconds later.
    pub updated_at: Option<OffsetDateTime>,
    /// Effect of the record on users.
    pub effect: Effect,
    /// Profile data of the user in the record; `None` for a record without a date.
    pub profile_update: Option<ProfileUpdate>,
    /// The tenant that the record names, if any.
    pub tenant: Option<String>,
}

impl LogRecord {
    /// The user that the record concerns, if it names one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        let named = match &self.effect {
            Effect::Login { user }
            | Effect::SignUp { user }
            | Effect::Written { user, .. }
            | Effect::Touched { user }
            | Effect::Unlinked { user, .. }
            | Effect::Deleted { user } => Some(user),
            Effect::BulkImport | Effect::Other => None,
        };
        let user = named.or_else(|| {
            self.profile_update
                .as_ref()
                .map(|profile_update| &profile_update.user)
        })?;
        Some(user.as_str())
    }
}

/// Parses one record: in an envelope, flat, or a `CloudEvent`. Refuses a payload that is no object, has no type, or
/// names a user by an invalid id.
pub fn parse(payload: &[u8]) -> Result<LogRecord, Reject> {
    let text = std::str::from_utf8(payload)
        .map_err(|error| Reject::new(Reason::NotUtf8, "payload", format_args!("{error}")))?;
    let text = replace_lone_surrogates(text);
    let top = Object::parse(&text).map_err(|error| {
        let reason = if error.is_data() {
            Reason::WrongType
        } else {
            Reason::NotJson
        };
        Reject::new(reason, "payload", error)
    })?;
    if top.is_cloud_event() {
        return cloud_event(&top);
    }
    let inner = top.enveloped();
    if inner.is_none() && top.get("type").is_none() && top.has("data") {
        return Err(Reject::new(Reason::WrongType, "data", "expected an object"));
    }
    let record = inner.as_ref().unwrap_or(&top);
    let kind = kind(record)?;
    let effect = match kind.as_str() {
        "s" | "scoa" | "sens" => {
            user(record, "user_id")?.map_or(Effect::Other, |user| Effect::Login { user })
        }
        "ss" => user(record, "user_id")?.map_or(Effect::Other, |user| Effect::SignUp { user }),
        "sdu" => deleted_user(record).map_or(Effect::Other, |user| Effect::Deleted { user }),
        "sapi" => management_write(record).unwrap_or(Effect::Other),
        "sscim" => scim_write(record).unwrap_or(Effect::Other),
        "sui" => Effect::BulkImport,
        _ => Effect::Other,
    };
    let response = record
        .object("details")
        .and_then(|details| details.object("response"));
    let answer = response.and_then(|response| response.object("body"));
    Ok(LogRecord {
        log_id: clean_text(record, "log_id").or_else(|| clean_text(&top, "log_id")),
        kind,
        date: date(record, "date"),
        client_id: clean_text(record, "client_id"),
        updated_at: answer.and_then(|user| date(&user, "updated_at")),
        profile_update: profile_update::of_record(record, &effect),
        tenant: clean_text(record, "tenant_name"),
        effect,
    })
}

/// Parses an event of Event Streams. Its `data.object` is the user after the change.
fn cloud_event(top: &Object<'_>) -> Result<LogRecord, Reject> {
    let kind = kind(top)?;
    let data = top.object("data");
    let member = |name| data.as_ref().and_then(|data| data.object(name));
    let subject = || {
        let missing = || Reject::new(Reason::MissingField, "data.object.user_id", "required");
        let object = member("object").ok_or_else(missing)?;
        let user = user(&object, "user_id")?.ok_or_else(missing)?;
        Ok((user, object))
    };
    let effect = match kind.as_str() {
        "user.created" | "user.updated" => {
            let (user, now) = subject()?;
            Effect::Written {
                user,
                roles: changed_roles(member("previous_object").as_ref(), &now),
            }
        }
        "user.deleted" => Effect::Deleted { user: subject()?.0 },
        _ => Effect::Other,
    };
    let client = member("context").and_then(|context| context.object("client"));
    let client_id = client.and_then(|client| clean_text(&client, "id"));
    Ok(LogRecord {
        log_id: clean_text(top, "id"),
        kind,
        date: date(top, "time"),
        client_id,
        updated_at: member("object").and_then(|user| date(&user, "updated_at")),
        profile_update: profile_update::of_event(top, &effect),
        tenant: clean_text(top, "a0tenant"),
        effect,
    })
}

fn kind(record: &Object<'_>) -> Result<String, Reject> {
    if record.get("type").is_none() {
        return Err(Reject::new(Reason::MissingField, "type", "required"));
    }
    let kind = record
        .text("type")
        .ok_or_else(|| Reject::new(Reason::WrongType, "type", "expected a string"))?;
    if is_clean(&kind) {
        Ok(kind)
    } else {
        Err(bad_value(
            "type",
            "expected 1 to 255 bytes without control characters",
            &kind,
        ))
    }
}

/// The user deleted by a record of type `sdu`. Its `user_id` is usually empty; the description is then `user_id: …`, an
/// id without its provider, and the provider is the strategy.
fn deleted_user(record: &Object<'_>) -> Option<UserId<'static>> {
    let stated = record.text("user_id").filter(|id| !id.is_empty());
    if let Some(whole) = stated.as_ref().filter(|id| id.contains('|')) {
        return subject(whole.clone()).ok();
    }
    let described = || {
        Some(
            record
                .text("description")?
                .trim()
                .strip_prefix("user_id: ")?
                .to_owned(),
        )
    };
    // An id may contain blanks. If the text goes on behind the id, the result is an id that no user has, and it is never
    // read.
    let id = stated.or_else(described).filter(|id| !id.is_empty())?;
    let is_database = || {
        record
            .text("strategy_type")
            .is_some_and(|kind| kind == "database")
    };
    let strategy = record.text("strategy").filter(|strategy| !strategy.is_empty());
    let provider = strategy.or_else(|| is_database().then(|| "auth0".to_owned()))?;
    let whole = if id.starts_with(&format!("{provider}|")) {
        id
    } else {
        format!("{provider}|{id}")
    };
    subject(whole).ok()
}

/// The effect of a write through the Management API. The record's own `user_id` is the actor. The changed user is in
/// the path, or in the response if the user was created.
fn management_write(record: &Object<'_>) -> Option<Effect> {
    let details = record.object("details")?;
    let request = details.object("request")?;
    let method = request.text("method")?.to_ascii_lowercase();
    let path = request.text("path")?;
    let (_, resource) = path.split_once("/api/v2/")?;
    let resource = resource
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let parts: Vec<&str> = resource.split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("delete", ["users", id]) => Some(Effect::Deleted { user: decoded(id)? }),
        ("patch" | "put" | "post", ["users", id]) => Some(Effect::Written {
            user: decoded(id)?,
            roles: requested_roles(request.object("body").as_ref()),
        }),
        ("post", ["users"]) => {
            let created = details.object("response")?.object("body")?.text("user_id")?;
            let roles = requested_roles(request.object("body").as_ref());
            Some(Effect::Written {
                user: subject(created).ok()?,
                roles,
            })
        }
        ("delete", ["users", id, "identities", provider, alias]) => Some(Effect::Unlinked {
            user: decoded(id)?,
            alias: subject(format!(
                "{}|{}",
                decoded(provider)?.as_str(),
                decoded(alias)?.as_str()
            ))
            .ok()?,
        }),
        // Linking joins two profiles; the record names the primary, whose profile shows its identities.
        (_, ["users", id, "identities", ..]) => Some(Effect::Written {
            user: decoded(id)?,
            roles: WrittenRoles::Unknown,
        }),
        // Auth0's own roles (`roles/{id}/users`) are not part of the metadata. A connection is deleted with its users; the
        // record names none of them.
        ("post", ["jobs", "users-imports"]) | ("delete", ["connections", _]) => Some(Effect::BulkImport),
        _ => None,
    }
}

/// The effect of a write by SCIM. Its path ends with the user's id: `/scim/v2/connections/{connection}/Users/{id}`. A
/// creation names no user.
fn scim_write(record: &Object<'_>) -> Option<Effect> {
    let request = record.object("details")?.object("request")?;
    let path = request.text("path")?;
    let (_, id) = path.split_once("/Users/")?;
    let id = id.split(['?', '#']).next().unwrap_or_default();
    let user = decoded(id.trim_end_matches('/'))?;
    let deletes = request.text("method")?.eq_ignore_ascii_case("delete");
    Some(if deletes {
        Effect::Deleted { user }
    } else {
        Effect::Touched { user }
    })
}
