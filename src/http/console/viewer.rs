//! The session of a request.
//!
//! Owns the cookie, and that a request without a session gets the form to sign in. Must never let a reader act, nor a form of another
//! session.

use askama::Template;
use axum::extract::{Form, rejection::FormRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::access::{Refused, Rights, SESSION_LASTS, Session};
use super::assets;
use super::filters;
use super::page::{self, Shell, Trouble};
use super::state::Console;

/// Name of the cookie.
const COOKIE: &str = "rolekeeper_console";

/// The form to sign in.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    version: &'static str,
    next: &'a str,
    name: &'a str,
    refused: Option<Refused>,
}

/// Responds with the form to sign in, which continues at `next`.
pub(super) fn sign_in(next: &str, name: &str, refused: Option<Refused>) -> Response {
    let status = match refused {
        Some(Refused::TooMany) => StatusCode::TOO_MANY_REQUESTS,
        Some(Refused::Name) => StatusCode::BAD_REQUEST,
        Some(Refused::Token) | None => StatusCode::UNAUTHORIZED,
    };
    let form = SignIn {
        version: assets::version(),
        next,
        name,
        refused,
    };
    page::show(status, &form)
}

/// The value of the cookie of a session; `id` none ends it. Not `Secure`, since the listener itself has no TLS.
pub(super) fn cookie(id: Option<&str>) -> String {
    let (id, age) = id.map_or(("", 0), |id| (id, SESSION_LASTS.as_secs()));
    format!("{COOKIE}={id}; Path=/console; Max-Age={age}; HttpOnly; SameSite=Strict")
}

/// The id in the cookie of a request.
pub(super) fn id(headers: &HeaderMap) -> Option<&str> {
    let mut pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// A path of the console to continue at.
pub(super) fn next(path: &str) -> &str {
    let is_page = path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    if is_page && !path.chars().any(char::is_control) {
        path
    } else {
        "/console"
    }
}

/// The session of a request for a page.
pub(super) struct Viewer(pub(super) Session);

impl FromRequestParts<Console> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let session = id(&parts.headers).and_then(|id| console.access.session(id, Instant::now()));
        session.map(Self).ok_or_else(|| {
            // A form is lost; its page is shown again after the sign-in.
            let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
            sign_in(next(path), "", None)
        })
    }
}

/// A form with the key of its session.
pub(super) trait Keyed {
    fn form_key(&self) -> &str;
}

/// A form of a session that may act.
pub(super) struct Act<T>(pub(super) Session, pub(super) T);

impl<T: DeserializeOwned + Keyed + Send> FromRequest<Console> for Act<T> {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Viewer(session) = Viewer::from_request_parts(&mut parts, console).await?;
        let refused = |status, why| {
            let shell = Shell::new(session.clone(), "", "Not possible");
            Trouble::new(shell, status, why).into_response()
        };
        if session.rights != Rights::Act {
            return Err(refused(
                StatusCode::FORBIDDEN,
                "Nothing was done: the token of this session can only read. Sign in with the operator's token to act.",
            ));
        }
        let form: Result<Form<T>, FormRejection> =
            Form::from_request(Request::from_parts(parts, body), console).await;
        let Ok(Form(form)) = form else {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                "Nothing was done: the form is incomplete. Load its page again.",
            ));
        };
        if !session.made(form.form_key()) {
            return Err(refused(
                StatusCode::FORBIDDEN,
                "Nothing was done: the form does not belong to this session. Load its page again.",
            ));
        }
        Ok(Self(session, form))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn fuzz_cookies_and_places_to_continue_at() {
        rolekeeper_fuzz::fuzz("console", |line| {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                let headers = [(header::COOKIE, value)].into_iter().collect();
                assert!(id(&headers).is_none_or(|id| !id.contains(';')));
            }
            // No other site, and no header of its own.
            let path = String::from_utf8_lossy(line);
            let path = next(&path);
            assert!(
                path.starts_with("/console") && !path.contains(char::is_control),
                "{path:?}"
            );
        });
    }
}
