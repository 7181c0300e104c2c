//! What one stored record of the tenant's logs tells us.
//!
//! Owns the reading of Auth0's log records (Auth0 docs, log event schemas) and of the user events of Event
//! Streams. A record is a hint to look at a user, never the state of one: it may come late, twice, out of
//! order or not at all. Must never refuse a record for a type or a shape of details that it does not know.

use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use super::date;
use super::event::{Reason, Reject, bad_value};
use super::ids::UserId;
use super::json_text::replace_lone_surrogates;

mod object;
mod says;
#[cfg(test)]
mod tests;
mod written;

pub(super) use object::Object;
pub use says::Says;
pub use written::WrittenRoles;
use written::{changed_roles, requested_roles};

/// Longest type, client id or role that is taken from a record, in bytes.
const MAX_TEXT_BYTES: usize = 255;

/// What is of use in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// What tells the record from others; nothing if it does not say so.
    pub log_id: Option<String>,
    /// Auth0's code for what happened (`s`, `sapi`, …), or the type of a `CloudEvent` (`user.updated`).
    pub kind: String,
    /// When it happened by the record itself; nothing if it does not say so legibly.
    pub date: Option<OffsetDateTime>,
    /// The client by whose token it was done.
    pub client_id: Option<String>,
    /// `updated_at` of the user right after a write, where the record shows it: on the same clock as the profile's
    /// own, and the same value. The record's `date` is some milliseconds later.
    pub updated_at: Option<OffsetDateTime>,
    /// What follows for users.
    pub tells: Tells,
    /// What it says about its user; nothing for a record without a date.
    pub says: Option<Says>,
    /// The tenant that it names, if it names one.
    pub tenant: Option<String>,
}

/// What a record tells of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tells {
    /// The user logged in, with a person at the screen.
    Login {
        /// Who.
        user: UserId<'static>,
    },
    /// The user signed up, or was created.
    SignUp {
        /// Who.
        user: UserId<'static>,
    },
    /// Somebody created or changed this user.
    Written {
        /// Who was changed, which is not who changed it.
        user: UserId<'static>,
        /// What became of the roles.
        roles: WrittenRoles,
    },
    /// The user is gone.
    Deleted {
        /// Who.
        user: UserId<'static>,
    },
    /// Users were imported, of whom the record gives no list: anyone may be among them.
    ManyWritten,
    /// Nothing of ours.
    Other,
}

impl LogRecord {
    /// The user it is about, if it names one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        let told = match &self.tells {
            Tells::Login { user }
            | Tells::SignUp { user }
            | Tells::Written { user, .. }
            | Tells::Deleted { user } => Some(user),
            Tells::ManyWritten | Tells::Other => None,
        };
        let user = told.or_else(|| self.says.as_ref().map(|says| &says.user))?;
        Some(user.as_str())
    }
}

/// Reads one record: in an envelope, flat, or a `CloudEvent`. Refused is what is no object, says no type, or
/// names a user by what cannot be an id.
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
    let tells = match kind.as_str() {
        "s" | "scoa" | "sens" => user(record, "user_id")?.map_or(Tells::Other, |user| Tells::Login { user }),
        "ss" => user(record, "user_id")?.map_or(Tells::Other, |user| Tells::SignUp { user }),
        "sdu" => deleted_user(record).map_or(Tells::Other, |user| Tells::Deleted { user }),
        "sapi" => management_write(record).unwrap_or(Tells::Other),
        "sui" => Tells::ManyWritten,
        _ => Tells::Other,
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
        says: says::of_record(record, &tells),
        tenant: clean_text(record, "tenant_name"),
        tells,
    })
}

/// An event of Event Streams. Its `data.object` is the user as it is after the change.
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
    let tells = match kind.as_str() {
        "user.created" | "user.updated" => {
            let (user, now) = subject()?;
            Tells::Written {
                user,
                roles: changed_roles(member("previous_object").as_ref(), &now),
            }
        }
        "user.deleted" => Tells::Deleted { user: subject()?.0 },
        _ => Tells::Other,
    };
    let client = member("context").and_then(|context| context.object("client"));
    let client_id = client.and_then(|client| clean_text(&client, "id"));
    Ok(LogRecord {
        log_id: clean_text(top, "id"),
        kind,
        date: date(top, "time"),
        client_id,
        updated_at: member("object").and_then(|user| date(&user, "updated_at")),
        says: says::of_event(top, &tells),
        tenant: clean_text(top, "a0tenant"),
        tells,
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

/// The user in the member `name`; nothing if it is absent, null or empty, as it often is.
fn user(record: &Object<'_>, name: &str) -> Result<Option<UserId<'static>>, Reject> {
    if record.get(name).is_none() {
        return Ok(None);
    }
    let id = record
        .text(name)
        .ok_or_else(|| Reject::new(Reason::WrongType, name, "expected a string"))?;
    if id.is_empty() {
        return Ok(None);
    }
    subject(id.clone())
        .map(Some)
        .map_err(|expected| bad_value(name, expected, &id))
}

/// The user that a text names. A replaced half of a surrogate pair is no part of an id: it would name somebody else.
fn subject(id: String) -> Result<UserId<'static>, &'static str> {
    if id.contains(char::REPLACEMENT_CHARACTER) {
        return Err("expected whole characters");
    }
    UserId::parse(id)
}

/// Who is gone by a record of type `sdu`. Its `user_id` is usually empty; the description then reads
/// `user_id: …`, an id without its provider, which is the strategy.
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
    // Text behind the id, which the form seen so far does not have, must not become a part of it.
    let id = stated
        .or_else(described)
        .filter(|id| !id.is_empty() && !id.contains(char::is_whitespace))?;
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

/// What a write through the Management API did. The record's own `user_id` is the actor; the subject is in
/// the path, or in the answer if the user was created.
fn management_write(record: &Object<'_>) -> Option<Tells> {
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
        ("delete", ["users", id]) => Some(Tells::Deleted { user: decoded(id)? }),
        ("patch" | "put" | "post", ["users", id]) => Some(Tells::Written {
            user: decoded(id)?,
            roles: requested_roles(request.object("body").as_ref()),
        }),
        ("post", ["users"]) => {
            let created = details.object("response")?.object("body")?.text("user_id")?;
            let roles = requested_roles(request.object("body").as_ref());
            Some(Tells::Written {
                user: subject(created).ok()?,
                roles,
            })
        }
        // Linking joins two profiles, unlinking parts them; what becomes of the metadata is not documented.
        (_, ["users", id, "identities", ..]) => Some(Tells::Written {
            user: decoded(id)?,
            roles: WrittenRoles::Unknown,
        }),
        // Auth0's own roles (`roles/{id}/users`) are no part of the metadata.
        ("post", ["jobs", "users-imports"]) => Some(Tells::ManyWritten),
        _ => None,
    }
}

fn decoded(id: &str) -> Option<UserId<'static>> {
    let id = percent_decode_str(id).decode_utf8().ok()?;
    subject(id.into_owned()).ok()
}

fn date(record: &Object<'_>, name: &str) -> Option<OffsetDateTime> {
    date::of_text(&record.text(name)?)
}

fn clean_text(record: &Object<'_>, name: &str) -> Option<String> {
    record.text(name).filter(|text| is_clean(text))
}

/// Whether `text` can be stored: Postgres refuses NUL in text.
fn is_clean(text: &str) -> bool {
    (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
