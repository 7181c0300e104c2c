//! Responses in plain text, where the app's old backend returned them.
//!
//! Owns their content type. Must never carry an error: those are problem details.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Plain text.
pub(super) struct Plain(pub(super) String);

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.0).into_response()
    }
}
