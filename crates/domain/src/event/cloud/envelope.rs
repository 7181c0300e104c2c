//! The payload of a `CloudEvent` in structured mode.
//!
//! Owns the members of the envelope. Must never copy what it can borrow.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::attributes::Attributes;
use crate::event::raw::{self, Text};
use crate::event::{Reason, Reject};

/// The member by which a payload is known as an envelope.
const MARK: &str = "\"specversion\"";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    specversion: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<Text<'a>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    time: Option<Text<'a>>,
    #[serde(borrow)]
    datacontenttype: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<IgnoredAny>,
}

/// Whether a payload without headers of `CloudEvents` is an envelope all the same: its object has the member `specversion`.
pub(in super::super) fn is_envelope(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Marked {
        specversion: Option<IgnoredAny>,
    }
    memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).is_some()
        && raw::is_object(text)
        && serde_json::from_str::<Marked>(text).is_ok_and(|marked| marked.specversion.is_some())
}

/// The attributes, and the text of the data.
pub(super) fn read(payload: &str) -> Result<(Attributes<'_>, &str), Reject> {
    let envelope: Envelope<'_> = raw::object(payload)?;
    if envelope.data_base64.is_some() {
        let fault = "expected the fields as an object in the member data instead";
        return Err(Reject::new(Reason::BadValue, "data_base64", fault));
    }
    let Some(data) = envelope.data else {
        return Err(Reject::new(
            Reason::MissingField,
            "data",
            "required: an object with the fields",
        ));
    };
    let attributes = Attributes {
        specversion: text(envelope.specversion),
        id: text(envelope.id),
        source: text(envelope.source),
        kind: text(envelope.kind),
        time: text(envelope.time),
        datacontenttype: text(envelope.datacontenttype),
    };
    Ok((attributes, data.get()))
}

fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(text)| text)
}
