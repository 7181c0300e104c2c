//! Bounds on requests that are in progress at once, so that probes and the scrape find a connection.
//!
//! Owns the number of requests and the deadline of a form. Must never let a client that sends slowly, or a Postgres that does not
//! respond, take all connections of the listener.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::state::Console;

/// Largest form, in bytes.
const MAX_FORM_BYTES: usize = 16 << 10;
/// Time for the whole form to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for the end of another request.
const PLACE_WITHIN: Duration = Duration::from_secs(1);

/// Reads the form, and lets the request pass if not too many others are in progress. Files wait for nothing, and pages that wait for
/// changes have a bound of their own.
pub(super) async fn bounded(State(console): State<Console>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/console/assets/") || path == "/console/events" {
        return next.run(request).await;
    }
    let Ok(Ok(_place)) = timeout(PLACE_WITHIN, console.requests.acquire()).await else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::RETRY_AFTER, "5")],
            "too many pages of the console are loading: load this one again\n",
        )
            .into_response();
    };
    let (parts, body) = request.into_parts();
    let form = match timeout(FORM_WITHIN, to_bytes(body, MAX_FORM_BYTES)).await {
        Ok(Ok(form)) => form,
        Ok(Err(_)) => return (StatusCode::PAYLOAD_TOO_LARGE, "the form is too large\n").into_response(),
        Err(_) => {
            return (
                StatusCode::REQUEST_TIMEOUT,
                "the form did not arrive within 3 seconds\n",
            )
                .into_response();
        }
    };
    next.run(Request::from_parts(parts, Body::from(form))).await
}
