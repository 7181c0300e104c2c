//! The usable values in a user's profile or in a record.
//!
//! Owns the detection of masked values and the list of fields that are never kept. Must never take a masked value for a
//! real one.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::date;

/// Maximum length of a text field, in bytes; links to pictures are the longest in use.
const MAX_BYTES: usize = 4096;
/// Text fields, by their names in a profile.
const TEXTS: [&str; 7] = [
    "email",
    "name",
    "nickname",
    "username",
    "phone_number",
    "picture",
    "created_at",
];
/// Fields that a record may set; all others come from responses alone.
pub(super) const OF_RECORDS: [&str; 3] = ["email", "name", "picture"];
/// Fields that Auth0's log streams may mask or hash (Auth0 docs, log streams, "PII obfuscation").
const MASKABLE: [&str; 2] = ["email", "name"];
/// Members of a profile that are never kept: the address of the last login, and the identities, which have tokens, and names and
/// addresses of other ids: an erased id may be linked.
const NOT_KEPT: [&str; 2] = ["last_ip", "identities"];

/// Source of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A response of the Management API, which masks nothing.
    Answer,
    /// A record, which may mask or hash fields.
    Record,
}

/// The fields of a user, by our names; from a record only those that a record may set.
pub(super) fn fields_of(user: &Map<String, Value>, source: Source) -> Vec<(&'static str, Value)> {
    let texts = TEXTS.into_iter().map(|name| {
        let text = user.get(name).and_then(Value::as_str);
        (name, text.and_then(|text| text_value(name, text, source)))
    });
    let flags = ["email_verified", "phone_verified"].into_iter();
    let flags = flags.map(|name| (name, user.get(name).filter(|flag| flag.is_boolean()).cloned()));
    let identity = user.get("identities").and_then(|all| all.get(0));
    let of_identity = |name: &str| {
        let text = identity.and_then(|identity| identity.get(name)?.as_str());
        text.and_then(|text| text_value(name, text, source))
    };
    let metadata = user.get("user_metadata");
    let display_name = metadata.and_then(|metadata| metadata.get("displayName")?.as_str());
    let others = [
        (
            "logins_count",
            user.get("logins_count").filter(|count| count.is_u64()).cloned(),
        ),
        ("connection", of_identity("connection")),
        ("strategy", of_identity("provider")),
        (
            "roles",
            user.get("app_metadata")
                .and_then(|metadata| roles_value(metadata.get("roles")?)),
        ),
        (
            "display_name",
            display_name.and_then(|name| text_value("display_name", name, source)),
        ),
    ];
    let all = texts.chain(flags).chain(others);
    let may_say = |name: &&str| source == Source::Answer || OF_RECORDS.contains(name);
    all.filter(|(name, _)| may_say(name))
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Whether a complete profile shows that the user has no roles.
pub(super) fn has_no_roles(user: &Map<String, Value>) -> bool {
    let missing = |value: Option<&Value>| value.is_none_or(Value::is_null);
    match user.get("app_metadata") {
        Some(Value::Object(metadata)) => missing(metadata.get("roles")),
        metadata => missing(metadata),
    }
}

/// Roles as a field, if they are a list of names.
fn roles_value(roles: &Value) -> Option<Value> {
    let names = roles.as_array()?;
    names.iter().all(Value::is_string).then(|| without_nul(roles))
}

/// A text as the field `name`, if it is usable.
pub(super) fn text_value(name: &str, text: &str, source: Source) -> Option<Value> {
    let says = !text.trim().is_empty() && text.len() <= MAX_BYTES;
    let masked = source == Source::Record && MASKABLE.contains(&name) && is_masked(name, text);
    (says && !masked).then(|| without_nul(&Value::String(text.to_owned())))
}

/// Whether a log stream has hidden the text: behind asterisks, or as an xxHash in hex (8, 16 or 32 digits). A real name
/// of that form in a record is ignored too; the profile itself provides it.
fn is_masked(name: &str, text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hashed = matches!(text.len(), 8 | 16 | 32) && hex(text) && !text.starts_with('+');
    text.contains("**") || hashed || (name == "email" && !text.contains('@'))
}

/// The user in a response, as the profile to keep.
#[must_use]
pub fn kept_profile(user: &Map<String, Value>) -> Value {
    let mut kept = user.clone();
    kept.retain(|name, _| !NOT_KEPT.contains(&name.as_str()));
    without_nul(&Value::Object(kept))
}

/// The date in a member, if it is valid.
pub(super) fn date_in(object: &Map<String, Value>, name: &str) -> Option<OffsetDateTime> {
    let text = object.get(name)?.as_str()?;
    date::of_text(text)
}

/// Removes NUL, which Postgres' jsonb refuses inside a string: a profile is untrusted input.
fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => Value::Array(items.iter().map(without_nul).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_nul(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
