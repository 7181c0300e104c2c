//! `POST /oauth/token` with client credentials.
//!
//! Owns who gets a token. Errors have the shape `{"error","error_description"}`. Statuses and texts are not
//! among the recordings: those of RFC 6749, 5.2, except for a wrong secret and a wrong audience, whose
//! `access_denied` is what users of Auth0 report.

use serde_json::{Value, json};

use super::calls::pairs;
use super::merge::Object;
use super::state::Clients;

/// Why there is no token.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub body: Value,
}

impl Refusal {
    fn new(status: u16, error: &str, description: impl Into<String>) -> Self {
        let description: String = description.into();
        Self {
            status,
            body: json!({"error": error, "error_description": description}),
        }
    }
}

/// The request's fields, from JSON or from a form.
pub(super) fn fields(content_type: &str, body: &[u8]) -> Object {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        pairs(&String::from_utf8_lossy(body))
    } else {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// The client that may have a token. `audience`: the only one that is served; `None` takes every one that
/// ends as the Management API's does.
pub(super) fn decide(clients: &Clients, fields: &Object, audience: Option<&str>) -> Result<String, Refusal> {
    let field = |name: &str| fields.get(name).and_then(Value::as_str);
    match field("grant_type") {
        Some("client_credentials") => {}
        Some(other) => {
            return Err(Refusal::new(
                400,
                "unsupported_grant_type",
                format!("Unsupported grant type: {other}"),
            ));
        }
        None => {
            return Err(Refusal::new(
                400,
                "invalid_request",
                "Missing required parameter: grant_type",
            ));
        }
    }
    let unauthorized = || Refusal::new(401, "access_denied", "Unauthorized");
    let id = field("client_id").ok_or_else(unauthorized)?;
    let client = clients.get(id).ok_or_else(unauthorized)?;
    if field("client_secret") != Some(client.secret.as_str()) {
        return Err(unauthorized());
    }
    let asked = field("audience").unwrap_or_default();
    let served = audience.map_or_else(|| asked.ends_with("/api/v2/"), |served| asked == served);
    if !served {
        let text = format!("Service not enabled within domain: {asked}");
        return Err(Refusal::new(403, "access_denied", text));
    }
    Ok(id.to_owned())
}
