//! Events as `CloudEvents` 1.0: attributes beside the fields of the event.
//!
//! Owns which attribute stands for which field. Must never take an event whose attributes and fields disagree, nor let
//! `source` influence a count.

use attributes::{Attributes, without_parameters};

use super::form::Form;
use super::headers::{CONTENT_TYPE, Headers, MEDIA_TYPE, begins_with};
use super::raw::{self, Raw};
use super::{Reject, bad_value};

mod attributes;
mod envelope;
#[cfg(test)]
mod tests;
mod value;

pub(super) use envelope::is_envelope;

/// The form that the headers announce.
pub(super) fn form(headers: &Headers) -> Result<Form, Reject> {
    let mut types = headers.all(CONTENT_TYPE);
    let Some(of_cloud_events) = types.find(|value| begins_with(value, MEDIA_TYPE)) else {
        return Ok(Form::Binary);
    };
    let media_type = without_parameters(of_cloud_events);
    match media_type[MEDIA_TYPE.len()..].to_ascii_lowercase().as_str() {
        "" | "+json" => Ok(Form::Structured),
        _ => Err(bad_value(
            CONTENT_TYPE,
            "expected application/cloudevents+json, and one event in a message",
            media_type,
        )),
    }
}

/// The fields of an event in structured mode.
pub(super) fn structured(text: &str) -> Result<Raw<'_>, Reject> {
    let (attributes, data) = envelope::read(text)?;
    let raw = raw::of_json(data).map_err(|reject| Form::Structured.named(reject))?;
    attributes.beside(raw, Form::Structured)
}

/// The fields of an event in binary mode.
pub(super) fn binary<'a>(headers: &'a Headers, text: &'a str) -> Result<Raw<'a>, Reject> {
    let mut values = [const { None }; 6];
    for (value, name) in values.iter_mut().zip([
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-time",
        "ce-datacontenttype",
    ]) {
        *value = value::only(name, headers)?;
    }
    let [specversion, id, source, kind, time, datacontenttype] = values;
    let attributes = Attributes {
        specversion,
        id,
        source,
        kind,
        time,
        datacontenttype,
    };
    attributes.beside(raw::of_json(text)?, Form::Binary)
}
