//! The attributes of a user that POST and PATCH accept, their types, and their effect.
//!
//! Owns the check of a body against the schema (`OpenAPI` file of the Management API, `/users/{id}`) and its
//! application to a profile. Messages have the wording of the recorded ones of the same validator.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use super::errors::ApiError;
use super::merge::{Object, check_keys, merged};

/// The connection of users who sign up with a password.
pub(super) const DATABASE: &str = "Username-Password-Authentication";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Flag,
    /// Text of at least one and at most this many characters, or null to remove it.
    Text(usize),
    Metadata,
    /// A parameter of the request that is not stored.
    Modifier,
    /// Text that only POST accepts.
    AtCreation,
}

const ATTRIBUTES: [(&str, Kind); 20] = [
    ("app_metadata", Kind::Metadata),
    ("blocked", Kind::Flag),
    ("client_id", Kind::Modifier),
    ("connection", Kind::Modifier),
    ("email", Kind::Text(usize::MAX)),
    ("email_verified", Kind::Flag),
    ("family_name", Kind::Text(150)),
    ("given_name", Kind::Text(150)),
    ("name", Kind::Text(300)),
    ("nickname", Kind::Text(300)),
    ("password", Kind::Text(usize::MAX)),
    ("phone_number", Kind::Text(usize::MAX)),
    ("phone_verified", Kind::Flag),
    ("picture", Kind::Text(usize::MAX)),
    ("user_id", Kind::AtCreation),
    ("user_metadata", Kind::Metadata),
    ("username", Kind::Text(128)),
    ("verify_email", Kind::Flag),
    ("verify_password", Kind::Flag),
    ("verify_phone_number", Kind::Flag),
];

/// Pairs that one PATCH must not have (`OpenAPI` file, 400 of PATCH). Their `errorCode` is not documented.
const NOT_TOGETHER: [(&str, &str); 5] = [
    ("password", "email"),
    ("password", "email_verified"),
    ("username", "email"),
    ("username", "email_verified"),
    ("username", "password"),
];

/// Returns the body as an object, or the validator's refusal.
pub(super) fn parse(body: &[u8]) -> Result<Object, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => {
            let violation = format!("Expected type object but found type {}", type_name(&other));
            Err(ApiError::payload(&violation, None))
        }
        // The text is our choice; the errorCode is the one of every refused body.
        Err(_) => Err(ApiError::invalid_body("Invalid request payload JSON format")),
    }
}

/// Checks the body of `POST /api/v2/users`.
pub(super) fn check_creation(body: &Object) -> Result<(), ApiError> {
    if !body.contains_key("connection") {
        return Err(ApiError::payload("Missing required property: connection", None));
    }
    check(body, true)
}

/// Checks a profile without a request, whose connection may follow from the id.
pub(super) fn check_profile(body: &Object) -> Result<(), ApiError> {
    check(body, true)
}

/// Checks the body of `PATCH /api/v2/users/{id}`.
pub(super) fn check_patch(body: &Object) -> Result<(), ApiError> {
    check(body, false)?;
    if body.is_empty() {
        // Seen in node-auth0#478: the body must have at least one property.
        return Err(ApiError::payload("None of the valid schemas were met", None));
    }
    match NOT_TOGETHER
        .iter()
        .find(|(one, other)| body.contains_key(*one) && body.contains_key(*other))
    {
        Some((one, other)) => Err(ApiError::new(
            400,
            None,
            format!("Cannot update {one} and {other} simultaneously"),
        )),
        None => Ok(()),
    }
}

fn check(body: &Object, creation: bool) -> Result<(), ApiError> {
    let kind = |key: &str| {
        ATTRIBUTES
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, kind)| *kind)
    };
    let allowed = |kind: Kind| creation || kind != Kind::AtCreation;
    let unknown: Vec<&str> = body
        .keys()
        .map(String::as_str)
        .filter(|key| !kind(key).is_some_and(allowed))
        .collect();
    if !unknown.is_empty() {
        // The wording is from auth0-java#58.
        let violation = format!(
            "Additional properties not allowed: {} (consider storing them in app_metadata or user_metadata. \
             See \"Users Metadata\" in https://auth0.com/docs/api/v2/changes for more details)",
            unknown.join(",")
        );
        return Err(ApiError::payload(&violation, None));
    }
    body.iter()
        .filter_map(|(key, value)| Some((key, kind(key)?, value)))
        .try_for_each(check_one)
}

fn check_one((key, kind, value): (&String, Kind, &Value)) -> Result<(), ApiError> {
    let wrong_type = |expected: &str| {
        let violation = format!("Expected type {expected} but found type {}", type_name(value));
        Err(ApiError::payload(&violation, Some(key)))
    };
    match (kind, value) {
        // The documentation has no null for a whole metadata field, and the schema neither.
        (Kind::Metadata, Value::Object(patch)) => check_keys(key, patch),
        (Kind::Metadata, _) => wrong_type("object"),
        (Kind::Flag, Value::Bool(_)) | (Kind::Text(_), Value::Null) => Ok(()),
        (Kind::Flag, _) => wrong_type("boolean"),
        (_, Value::String(text)) => {
            let (long, most) = (
                text.chars().count(),
                if let Kind::Text(most) = kind {
                    most
                } else {
                    usize::MAX
                },
            );
            if long == 0 {
                return Err(ApiError::payload(
                    "String is too short (0 chars), minimum 1",
                    Some(key),
                ));
            }
            if long > most {
                let violation = format!("String is too long ({long} chars), maximum {most}");
                return Err(ApiError::payload(&violation, Some(key)));
            }
            if key == "email" && !text.contains('@') {
                let violation = format!("Object didn't pass validation for format email: {text}");
                return Err(ApiError::payload(&violation, Some(key)));
            }
            Ok(())
        }
        _ => wrong_type("string"),
    }
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns a new profile, with the fields that Auth0 adds.
pub(super) fn created(user_id: &str, body: &Object, now: OffsetDateTime) -> Object {
    let (provider, own_id) = user_id.split_once('|').unwrap_or(("auth0", user_id));
    let by_default = if provider == "auth0" { DATABASE } else { provider };
    let connection = body
        .get("connection")
        .and_then(Value::as_str)
        .unwrap_or(by_default);
    let email = body.get("email").and_then(Value::as_str);
    let name = email
        .or_else(|| body.get("username").and_then(Value::as_str))
        .unwrap_or(user_id);
    let nickname = name.split('@').next().unwrap_or(name);
    let mut profile = Object::new();
    profile.insert("user_id".into(), user_id.into());
    profile.insert("created_at".into(), timestamp(now).into());
    profile.insert(
        "identities".into(),
        json!([{
            "connection": connection,
            "user_id": own_id,
            "provider": provider,
            "isSocial": strategy_type(provider) == "social",
        }]),
    );
    if email.is_some() {
        profile.insert("email_verified".into(), false.into());
    }
    profile.insert("name".into(), name.into());
    profile.insert("nickname".into(), nickname.into());
    profile.insert("picture".into(), picture(name).into());
    let mut profile = patched(&profile, body, now);
    profile.remove("last_password_reset");
    profile
}

/// Returns the profile after a checked body.
pub(super) fn patched(before: &Object, body: &Object, now: OffsetDateTime) -> Object {
    let mut after = before.clone();
    for (key, value) in body {
        match (key.as_str(), value) {
            ("password", _) => {
                after.insert("last_password_reset".into(), timestamp(now).into());
            }
            (
                "client_id"
                | "connection"
                | "user_id"
                | "verify_email"
                | "verify_password"
                | "verify_phone_number",
                _,
            ) => {}
            ("app_metadata" | "user_metadata", Value::Object(patch)) => {
                let merged = merged(before.get(key).and_then(Value::as_object), patch);
                // Recorded for `{}`: app_metadata is removed, user_metadata shows `{}`. The same result after
                // the last key is removed by null is our choice.
                if merged.is_empty() && key == "app_metadata" {
                    after.remove(key);
                } else {
                    after.insert(key.clone(), merged.into());
                }
            }
            (_, Value::Null) => {
                after.remove(key);
            }
            (_, value) => {
                after.insert(key.clone(), value.clone());
            }
        }
    }
    after.insert("updated_at".into(), timestamp(now).into());
    after
}

/// Returns the profile after a login.
pub(super) fn logged_in(before: &Object, now: OffsetDateTime) -> Object {
    let mut user = before.clone();
    let logins = before.get("logins_count").and_then(Value::as_u64).unwrap_or(0) + 1;
    user.insert("logins_count".into(), logins.into());
    user.insert("last_ip".into(), "203.0.113.7".into());
    for field in ["last_login", "updated_at"] {
        user.insert(field.into(), timestamp(now).into());
    }
    user
}

/// Returns the stored form of a password.
pub(super) fn digest(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

/// Returns the bytes of the profile as JSON.
pub(super) fn size(user: &Object) -> usize {
    serde_json::to_vec(user).map_or(usize::MAX, |json| json.len())
}

/// Returns a time such as `2026-04-22T17:49:56.235Z`, the format of Auth0's responses and records.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.format(format)
        .expect("the format names only parts that every date has")
}

/// Returns the category of an identity provider, as in log records.
pub(super) fn strategy_type(provider: &str) -> &'static str {
    match provider {
        "auth0" => "database",
        "samlp" | "waad" | "adfs" | "oidc" | "okta" | "ad" | "pingfederate" => "enterprise",
        "sms" | "email" => "passwordless",
        _ => "social",
    }
}

/// Returns an address like Auth0's default picture; only the hash differs.
fn picture(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let hash = digest
        .iter()
        .take(16)
        .fold(String::new(), |hash, byte| hash + &format!("{byte:02x}"));
    let initials: String = name.chars().filter(char::is_ascii_alphanumeric).take(2).collect();
    format!(
        "https://s.gravatar.com/avatar/{hash}?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2F{}.png",
        initials.to_lowercase()
    )
}
