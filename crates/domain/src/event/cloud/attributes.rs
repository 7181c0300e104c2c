//! The attributes of a `CloudEvent`.
//!
//! Owns the check of each, and that a field beside them has the same value. Must never compare `source`.

use std::borrow::Cow;

use crate::event::form::Form;
use crate::event::played_at::is_time;
use crate::event::raw::{Raw, Text};
use crate::event::{Reason, Reject, bad_value, has_control};

/// The only version of the attributes that there is.
const SPECVERSION: &str = "1.0";

/// The attributes that matter; others, extensions too, are ignored.
#[derive(Default)]
pub(super) struct Attributes<'a> {
    pub(super) specversion: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) kind: Option<Cow<'a, str>>,
    pub(super) time: Option<Cow<'a, str>>,
    pub(super) datacontenttype: Option<Cow<'a, str>>,
}

impl<'a> Attributes<'a> {
    /// Puts the attributes into the places of the fields for which they stand.
    pub(super) fn beside(self, mut raw: Raw<'a>, form: Form) -> Result<Raw<'a>, Reject> {
        let name = |name: &str| form.attribute(name);
        let specversion = required(&name("specversion"), self.specversion)?;
        if specversion != SPECVERSION {
            return Err(bad_value(&name("specversion"), "expected \"1.0\"", &specversion));
        }
        let id = required(&name("id"), self.id)?;
        let source = required(&name("source"), self.source)?;
        if source.is_empty() || has_control(&source) {
            return Err(bad_value(
                &name("source"),
                "expected the URI of the publisher",
                &source,
            ));
        }
        let kind = last_part(required(&name("type"), self.kind)?);
        if let Some(content) = self.datacontenttype.filter(|content| !is_json(content)) {
            let name = name("datacontenttype");
            return Err(bad_value(&name, "expected application/json", &content));
        }
        if let Some(time) = self.time {
            if !is_time(&time) {
                return Err(bad_value(&name("time"), "expected a time in RFC 3339", &time));
            }
            raw.played_at.get_or_insert(Text(time));
        }
        agreed(&mut raw.event_id, id, (form, "event_id", "id"))?;
        agreed(&mut raw.kind, kind, (form, "type", "type"))?;
        Ok(raw)
    }
}

/// Puts an attribute into the place of its field. A publisher may write both, with one value.
fn agreed<'a>(
    field: &mut Option<Text<'a>>,
    value: Cow<'a, str>,
    (form, name, attribute): (Form, &str, &str),
) -> Result<(), Reject> {
    match field.replace(Text(value)) {
        Some(Text(written)) if field.as_ref().is_some_and(|Text(value)| *value != written) => {
            let attribute = form.attribute(attribute);
            let fault = format!("expected the value of {attribute}, or no value");
            Err(bad_value(&form.field(name), &fault, &written))
        }
        _ => Ok(()),
    }
}

fn required<'a>(name: &str, value: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Reject> {
    value.ok_or_else(|| Reject::new(Reason::MissingField, name, "required"))
}

/// The part after the last full stop: `CloudEvents` advises a prefix that names the organisation.
fn last_part(kind: Cow<'_, str>) -> Cow<'_, str> {
    match kind {
        Cow::Borrowed(kind) => Cow::Borrowed(kind.rsplit('.').next().unwrap_or(kind)),
        Cow::Owned(kind) => Cow::Owned(kind.rsplit('.').next().unwrap_or(&kind).to_owned()),
    }
}

fn is_json(content: &str) -> bool {
    let media_type = without_parameters(content).to_ascii_lowercase();
    media_type.ends_with("/json") || media_type.ends_with("+json")
}

/// A media type without its parameters.
pub(super) fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}
