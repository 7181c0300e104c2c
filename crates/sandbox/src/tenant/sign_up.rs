//! `POST /dbconnections/signup`: a user creates an account with a password.
//!
//! Owns the decision. Refusals have the format of Auth0's Authentication API, `{"name","code","description","statusCode"}`;
//! their texts, and all codes except `user_exists`, are our choice.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::change::{Change, Users, id_of};
use super::linking;
use super::merge::Object;
use super::profile::{self, DATABASE};
use super::records::APP_CLIENT;

/// Documented limits of `user_metadata` here: number of texts, and length of each.
const MOST_METADATA: usize = 10;
const LONGEST_METADATA: usize = 500;

/// The refusal of a sign-up.
pub(super) fn refusal(status: u16, code: &str, description: &str) -> (u16, Value) {
    let body =
        json!({"name": "BadRequestError", "code": code, "description": description, "statusCode": status});
    (status, body)
}

/// Decides one sign-up; `new_id` is the id of the new user, without its provider.
pub(super) fn decide(
    users: &Users,
    fields: &Object,
    new_id: &str,
    now: OffsetDateTime,
) -> Result<Change, (u16, Value)> {
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if field("client_id") != APP_CLIENT {
        return Err(refusal(400, "invalid_client", "Client not found."));
    }
    if field("connection") != DATABASE {
        return Err(refusal(400, "invalid_connection", "The connection was not found"));
    }
    for name in ["email", "password"] {
        if field(name).is_empty() {
            return Err(refusal(400, "bad.request", &format!("missing {name} parameter")));
        }
    }
    let metadata = fields.get("user_metadata").map(|value| value.as_object());
    let small = |metadata: &Object| {
        let short = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| text.chars().count() <= LONGEST_METADATA)
        };
        metadata.len() <= MOST_METADATA && metadata.values().all(short)
    };
    if metadata.is_some_and(|metadata| !metadata.is_some_and(small)) {
        return Err(refusal(
            400,
            "invalid_body",
            "user_metadata: at most 10 texts of at most 500 characters",
        ));
    }
    if of_email(users, field("email")).is_some() {
        return Err(refusal(400, "user_exists", "The user already exists."));
    }
    let mut sent = fields.clone();
    sent.remove("client_id");
    profile::check_profile(&sent).map_err(|error| refusal(400, "invalid_body", &error.message))?;
    let user = profile::created(&format!("auth0|{new_id}"), &sent, now);
    Ok(Change::Created { user, sent })
}

/// Returns the response to a successful sign-up.
pub(super) fn answer(user: &Object) -> Value {
    let mut shown = json!({
        "_id": user["identities"][0]["user_id"], "email": user["email"], "email_verified": user["email_verified"],
    });
    if let Some(metadata) = user.get("user_metadata") {
        shown["user_metadata"] = metadata.clone();
    }
    shown
}

/// Returns the user with a password and this address, and the id of that identity, which may be a linked one; upper and
/// lower case are the same.
pub(super) fn of_email<'u>(users: &'u Users, email: &str) -> Option<(&'u Object, String)> {
    users.values().find_map(|user| {
        let identities = user.get("identities").and_then(Value::as_array)?;
        let of_address = |(place, identity): &(usize, &Value)| {
            let address = match place {
                0 => user.get("email"),
                _ => identity["profileData"].get("email"),
            };
            let address = address.and_then(Value::as_str);
            identity["connection"] == DATABASE
                && address.is_some_and(|address| address.eq_ignore_ascii_case(email))
        };
        let (place, identity) = identities.iter().enumerate().find(of_address)?;
        let linked = linking::full_id(identity).filter(|_| place > 0);
        Some((user, linked.unwrap_or_else(|| id_of(user).to_owned())))
    })
}
