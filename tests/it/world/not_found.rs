//! Responses with status 404 from the tenant.
//!
//! Owns the form of Auth0's own one, which alone says that there is no such user.

use rolekeeper_sandbox::tenant::Fault;
use serde_json::{Value, json};

/// A response with status 404 and this body.
pub(crate) fn not_found(body: Value) -> Fault {
    Fault::Status {
        code: 404,
        headers: vec![],
        body: Some(body),
    }
}

/// Auth0's response that it does not know the user.
pub(crate) fn inexistent() -> Fault {
    not_found(
        json!({"statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user"}),
    )
}
