//! The forms in which an event may be written, and the names that its fields have in each.
//!
//! Owns the names in a refusal: the publisher finds the field under the name that it wrote.

use super::Reject;

/// The form of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One object with all fields.
    Plain,
    /// A `CloudEvent` in the payload, with the fields in `data`.
    Structured,
    /// A `CloudEvent` with the attributes in headers and the fields in the payload.
    Binary,
}

impl Form {
    /// The name of an attribute.
    pub(super) fn attribute(self, name: &str) -> String {
        match self {
            Self::Binary => format!("ce-{name}"),
            Self::Plain | Self::Structured => name.to_owned(),
        }
    }

    /// The name of a field beside the attributes.
    pub(super) fn field(self, name: &str) -> String {
        match self {
            Self::Structured if name == "payload" => "data".to_owned(),
            Self::Structured => format!("data.{name}"),
            Self::Plain | Self::Binary => name.to_owned(),
        }
    }

    /// A refusal that names the field as the plain form does, with the name in this form.
    pub(super) fn named(self, reject: Reject) -> Reject {
        if self == Self::Plain {
            return reject;
        }
        let Some((name, fault)) = reject.detail.split_once(": ") else {
            return reject;
        };
        let detail = match (name, fault) {
            ("type", _) => format!("{}: {fault}", self.attribute("type")),
            ("event_id", _) => format!("{}: {fault}", self.attribute("id")),
            ("played_at", "required") => {
                let (time, played_at) = (self.attribute("time"), self.field("played_at"));
                format!("{time}: required, unless {played_at} has the time")
            }
            _ => format!("{}: {fault}", self.field(name)),
        };
        Reject { detail, ..reject }
    }
}
