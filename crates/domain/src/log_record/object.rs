//! Reads a JSON object one member at a time.
//!
//! Owns the tolerance for invalid members: an unexpected shape, a lone surrogate or nesting thousands deep affects only
//! that member. Must never know the meaning of a member, except where a record keeps its fields.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// The members of a JSON object, not parsed yet. Of members with the same name the last one counts.
pub(crate) struct Object<'a>(HashMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    /// Reads `json`, which must be exactly one object.
    pub(crate) fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json).map(Self)
    }

    /// Whether the member `name` exists, even as null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The JSON of the member `name`; `None` if it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .get(name)
            .map(|value| value.get())
            .filter(|&json| json != "null")
    }

    /// The member `name`, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|json| serde_json::from_str(json).ok())
    }

    /// The member `name`, if it is an object.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(|json| Self::parse(json).ok())
    }

    /// Whether this is an event of Auth0's Event Streams (`CloudEvents` 1.0) and not a log record.
    pub(crate) fn is_cloud_event(&self) -> bool {
        self.has("specversion")
    }

    /// The log record inside an envelope `{"log_id","data":{…}}`; `None` if this object is the record itself.
    pub(crate) fn enveloped(&self) -> Option<Self> {
        if self.get("type").is_some() {
            None
        } else {
            self.object("data")
        }
    }
}
