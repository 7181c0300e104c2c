//! A line of JSON.
//!
//! Owns the names of its fields, which are those of an event, and `plays`. Must never read an array as an object.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fields::Fields;
use crate::event::{Reason, Reject, excerpt};

/// The fields; others, as the listener of an event, are left out.
#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: Option<String>,
    playlist_id: Option<String>,
    event_id: Option<String>,
    played_at: Option<String>,
    plays: Option<i64>,
}

pub(super) fn fields(text: &str) -> Result<Fields, Reject> {
    if !text.trim_ascii_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Reject::new(Reason::WrongType, "line", "expected a JSON object"),
            Err(fault) => Reject::new(Reason::NotJson, "line", fault),
        });
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let raw: Raw = serde_path_to_error::deserialize(&mut json).map_err(|fault| {
        let path = fault.path().to_string();
        // The fault concerns the object as a whole, or text after it.
        let field = if matches!(path.as_str(), "." | "?") {
            "line"
        } else {
            &path
        };
        let reason = match fault.inner() {
            inner if !inner.is_data() => Reason::NotJson,
            inner if inner.to_string().starts_with("duplicate field") => Reason::DuplicateField,
            _ => Reason::WrongType,
        };
        Reject::new(reason, &excerpt(field), fault.inner())
    })?;
    json.end()
        .map_err(|fault| Reject::new(Reason::NotJson, "line", fault))?;
    Ok(Fields {
        kind: raw.kind,
        playlist: raw.playlist_id,
        event: raw.event_id,
        played_at: raw.played_at,
        plays: raw.plays,
    })
}
