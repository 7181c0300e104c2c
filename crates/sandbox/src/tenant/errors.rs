//! Error responses of the Management API, in Auth0's format.
//!
//! Owns the body `{"statusCode","error","message","errorCode"?}`. Texts come from recorded responses and from the `OpenAPI`
//! file where these have one; each choice of ours is marked. `/oauth/token` has another format and is not here.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A response with status 4xx.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Message for people.
    pub message: String,
    /// Error code for programs; many real responses have none.
    pub code: Option<&'static str>,
}

impl ApiError {
    pub(super) fn new(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            code,
        }
    }

    /// Returns the error of a body that the endpoint does not accept.
    pub(super) fn invalid_body(message: impl Into<String>) -> Self {
        Self::new(400, Some("invalid_body"), message)
    }

    /// Returns the error of a body that violates the endpoint's schema. Recorded: `Payload validation error: '...' on property x`.
    pub(super) fn payload(violation: &str, property: Option<&str>) -> Self {
        let place = property
            .map(|name| format!(" on property {name}"))
            .unwrap_or_default();
        Self::invalid_body(format!("Payload validation error: '{violation}'{place}."))
    }

    pub(super) fn query(violation: &str, property: &str) -> Self {
        let message = format!("Query validation error: '{violation}' on property {property}.");
        Self::new(400, Some("invalid_query_string"), message)
    }

    pub(super) fn missing_authentication() -> Self {
        Self::new(401, None, "Missing authentication")
    }

    pub(super) fn invalid_token() -> Self {
        Self::new(401, None, "Invalid token.")
    }

    pub(super) fn insufficient_scope(any_of: &[&str]) -> Self {
        let message = format!("Insufficient scope, expected any of: {}", any_of.join(","));
        Self::new(403, Some("insufficient_scope"), message)
    }

    pub(super) fn unknown_user() -> Self {
        Self::new(404, Some("inexistent_user"), "The user does not exist.")
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(404, None, "Not Found")
    }

    /// Returns the error of an existing user. Text and code are our choice; the status is documented for POST /users.
    pub(super) fn user_exists() -> Self {
        Self::new(409, Some("auth0_idp_error"), "The user already exists.")
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(429, Some("too_many_requests"), "Global limit has been reached")
    }

    pub(super) fn body(&self) -> Value {
        let reason = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let mut body = json!({
            "statusCode": self.status,
            "error": reason.unwrap_or("Error"),
            "message": self.message,
        });
        if let Some(code) = self.code {
            body["errorCode"] = code.into();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_the_recorded_ones() {
        let table = [
            (
                ApiError::unknown_user(),
                r#"{"statusCode":404,"error":"Not Found","message":"The user does not exist.","errorCode":"inexistent_user"}"#,
            ),
            (
                ApiError::too_many_requests(),
                r#"{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached","errorCode":"too_many_requests"}"#,
            ),
            (
                ApiError::missing_authentication(),
                r#"{"statusCode":401,"error":"Unauthorized","message":"Missing authentication"}"#,
            ),
            (
                ApiError::payload("Additional properties not allowed: x", None),
                r#"{"statusCode":400,"error":"Bad Request","message":"Payload validation error: 'Additional properties not allowed: x'.","errorCode":"invalid_body"}"#,
            ),
        ];
        for (error, recorded) in table {
            assert_eq!(error.body(), serde_json::from_str::<Value>(recorded).unwrap());
        }
    }
}
