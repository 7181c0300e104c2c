//! Parses the bytes of one message into fields, without checking them.
//!
//! Owns the limit of a payload and the errors for a payload that is no JSON object. Must never copy what it can
//! borrow.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_path_to_error::Segment;

use super::{Reason, Reject, bad_value, excerpt};
use crate::json_text::replace_lone_surrogates;

mod fields;
mod plain;

pub(super) use fields::{Raw, Text};
pub(super) use plain::plain;

/// Maximum payload of an app event, in bytes: twice the size of the largest event with every character escaped.
pub const MAX_EVENT_BYTES: usize = 16 * 1024;

/// The text of a payload.
pub(super) fn text(payload: &[u8]) -> Result<&str, Reject> {
    if payload.len() > MAX_EVENT_BYTES {
        let fault = format!("expected at most {MAX_EVENT_BYTES} bytes, got {}", payload.len());
        return Err(Reject::new(Reason::Oversized, "payload", fault));
    }
    std::str::from_utf8(payload)
        .map_err(|error| Reject::new(Reason::NotUtf8, "payload", format_args!("{error}")))
}

/// Parses JSON fields, in whatever way they are written.
pub(super) fn of_json(text: &str) -> Result<Raw<'_>, Reject> {
    object(text).or_else(|reject| repaired(text).unwrap_or(Err(reject)))
}

/// Parses a JSON object.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Reject> {
    // Serde would also accept an array and take its elements as the fields in order.
    if !is_object(text) {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Reject::new(Reason::WrongType, "payload", "expected a JSON object"),
            Err(error) => Reject::new(Reason::NotJson, "payload", error),
        });
    }
    serde_json::from_str(text).map_err(|error| diagnose::<T>(text, &error))
}

/// Whether a text can be a JSON object.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
}

/// The fields of a payload after half surrogate pairs were replaced: they damage a name, but the event is usable.
/// `None` if the payload has none, or has another fault too.
fn repaired<'a>(text: &str) -> Option<Result<Raw<'a>, Reject>> {
    let Cow::Owned(text) = replace_lone_surrogates(text) else {
        return None;
    };
    let raw = serde_json::from_str::<Raw<'_>>(&text).ok()?.into_owned();
    let users = [("owner_id", &raw.owner_id), ("listener_id", &raw.listener_id)];
    for (field, value) in users {
        // A replaced half is no valid part of an id: the id would be that of another playlist or user.
        if let Some(Text(id)) = value
            && id.contains(char::REPLACEMENT_CHARACTER)
        {
            return Some(Err(bad_value(field, "expected whole characters", id)));
        }
    }
    Some(Ok(raw))
}

/// Names the field that caused `error`, by parsing again with the path tracked.
fn diagnose<'a, T: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> Reject {
    let mut again = serde_json::Deserializer::from_str(text);
    let field = match serde_path_to_error::deserialize::<_, T>(&mut again) {
        Err(located) if matches!(located.path().iter().next(), Some(Segment::Map { .. })) => {
            excerpt(&located.path().to_string())
        }
        // The error concerns the object as a whole, or text after it.
        _ => "payload".to_owned(),
    };
    let fault = error.to_string();
    let reason = if !error.is_data() {
        Reason::NotJson
    } else if fault.starts_with("duplicate field") {
        Reason::DuplicateField
    } else {
        Reason::WrongType
    };
    Reject::new(reason, &field, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &[u8]) -> Result<Raw<'_>, Reject> {
        let text = text(payload)?;
        plain(text).map_or_else(|| of_json(text), Ok)
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        for playlist in ["esc\\u0061ped", "escaped"] {
            let payload = format!(r#"{{"type":"play","event_id":"plain","playlist_id":"{playlist}"}}"#);
            let raw = read(payload.as_bytes()).unwrap();
            let of_payload = payload.as_bytes().as_ptr_range();
            match raw.event_id.unwrap().0 {
                Cow::Borrowed(id) => assert!(of_payload.contains(&id.as_ptr())),
                Cow::Owned(id) => panic!("{id} was copied"),
            }
            assert!(matches!(raw.kind.unwrap().0, Cow::Borrowed("play")));
            let id = raw.playlist_id.unwrap().0;
            assert_eq!(id, "escaped");
            assert_eq!(matches!(id, Cow::Owned(_)), playlist != id, "{payload}");
        }
    }
}
