//! The fields of a record: texts, dates and ids of users.
//!
//! Owns which values are taken. Must never take a text that cannot be stored.

use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use super::object::Object;
use crate::date;
use crate::event::{Reason, Reject, bad_value};
use crate::ids::UserId;

/// Maximum length of a type, client id or role taken from a record, in bytes.
const MAX_TEXT_BYTES: usize = 255;

/// The user in the member `name`; `None` if it is absent, null or empty, which is common.
pub(super) fn user(record: &Object<'_>, name: &str) -> Result<Option<UserId<'static>>, Reject> {
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

/// The user with this id. A replaced half of a surrogate pair is no valid part of an id: the id would be that of
/// another user.
pub(super) fn subject(id: String) -> Result<UserId<'static>, &'static str> {
    if id.contains(char::REPLACEMENT_CHARACTER) {
        return Err("expected whole characters");
    }
    UserId::parse(id)
}

pub(super) fn decoded(id: &str) -> Option<UserId<'static>> {
    let id = percent_decode_str(id).decode_utf8().ok()?;
    subject(id.into_owned()).ok()
}

pub(super) fn date(record: &Object<'_>, name: &str) -> Option<OffsetDateTime> {
    date::of_text(&record.text(name)?)
}

pub(super) fn clean_text(record: &Object<'_>, name: &str) -> Option<String> {
    record.text(name).filter(|text| is_clean(text))
}

/// Whether `text` can be stored: Postgres refuses NUL in text.
pub(super) fn is_clean(text: &str) -> bool {
    (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
