//! Signing in and out.
//!
//! Owns both forms' handlers. Must never send a token back, nor log one.

use axum::extract::{Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{info, warn};

use super::access::{Refused, Rights};
use super::state::Console;
use super::text::visible;
use super::viewer;

#[derive(Deserialize)]
pub(super) struct SignInForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct SignOutForm {
    #[serde(default)]
    form_key: String,
}

/// Begins a session.
pub(super) async fn sign_in(
    State(console): State<Console>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    // A page of another site must not use up the tries.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let next = viewer::next(&form.next);
    match console.access.sign_in(&form.token, &form.name, Instant::now()) {
        Ok(id) => {
            let session = console.access.session(&id, Instant::now());
            let rights = match session.map(|session| session.rights) {
                Some(Rights::Act) => "operator",
                Some(Rights::Read) | None => "reader",
            };
            info!("console: {} signed in as {rights}", visible(form.name.trim()));
            let cookie = [(header::SET_COOKIE, viewer::cookie(Some(&id)))];
            (cookie, Redirect::to(next)).into_response()
        }
        Err(why) => {
            if why == Refused::Token {
                warn!("console: a sign-in was refused: the token is wrong");
            }
            viewer::sign_in(next, &form.name, Some(why))
        }
    }
}

/// Shows the form again, for a browser that reloads the address of its answer.
pub(super) async fn again() -> Redirect {
    Redirect::to("/console")
}

/// Ends the session of the form.
pub(super) async fn sign_out(
    State(console): State<Console>,
    headers: HeaderMap,
    Form(form): Form<SignOutForm>,
) -> Response {
    let id = viewer::id(&headers);
    let session = id.and_then(|id| Some((id, console.access.session(id, Instant::now())?)));
    match session {
        Some((id, session)) if session.made(&form.form_key) => console.access.sign_out(id),
        Some(_) => return StatusCode::FORBIDDEN.into_response(),
        None => {}
    }
    let cookie = [(header::SET_COOKIE, viewer::cookie(None))];
    (cookie, Redirect::to("/console")).into_response()
}
