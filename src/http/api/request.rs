//! The parts of a request: its user, its body, the id in its path, the requested page.
//!
//! Owns that each part is checked before the handler runs, the user first. Must never read a body before the user is known
//! and within the quota.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::problem::{Code, Problem};
use super::state::Api;
use crate::auth0::{Caller, Refusal};
use rolekeeper_domain::ids::{Token, UserId};

/// Largest body, in bytes; the largest valid body has a name of 256 characters, each written as an escape.
pub(super) const MAX_BODY_BYTES: usize = 16 << 10;
/// Longest page, in rows.
pub(super) const MAX_PAGE: i64 = 100;

/// The subject of the request's access token.
pub(super) struct User(Caller);

impl User {
    /// Returns the user whose data the token opens: its subject, or the account to which the subject is linked. Handlers ask after
    /// the body is read: a client that hangs up meanwhile has made its request.
    pub(super) async fn person(&self, api: &Api) -> Result<UserId<'static>, Problem> {
        let Caller { user, issued_at, .. } = &self.0;
        Ok(api.store.opened_by(user, *issued_at).await?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User
where
    Api: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let api = Api::from_ref(state);
        let caller = match one(&parts.headers) {
            Ok(value) => api.bearer.caller(value).await,
            Err(refusal) => Err(refusal),
        };
        let scope = scope_of(&parts.method);
        let caller = match caller {
            Ok(caller) if api.scopes && !caller.may(scope) => Err(Refusal::Scope),
            caller => caller,
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(refusal) => {
                let reason = refusal.as_str();
                api.metrics.api.refused_tokens.with_label_values(&[reason]).inc();
                return Err(Problem::of_token(refusal, scope));
            }
        };
        api.quotas
            .take(&caller.user, Instant::now())
            .map_err(|wait| Problem::rate_limited(wait.as_secs() + 1))?;
        Ok(Self(caller))
    }
}

/// Returns the scope that a request with this method needs.
pub(super) fn scope_of(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "read:app",
        _ => "write:app",
    }
}

/// Returns the Authorization header; an error when it is missing or repeated.
fn one(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) => Err(Refusal::Missing),
        (Some(_), Some(_)) => Err(Refusal::Malformed),
    }
}

/// A JSON object in the body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Code::UnsupportedMediaType,
                "send JSON: Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        parse(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, detail)
    } else {
        Problem::bad_request("the body is incomplete")
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would also accept an array, with its elements as the fields in order.
    if bytes
        .trim_ascii_start()
        .first()
        .is_some_and(|first| *first != b'{')
        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
    {
        return Err(Problem::invalid("body", "expected a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let why = error.inner().to_string();
        if error.inner().is_data() {
            // Serde writes the path of the body itself as a dot.
            let path = error.path().to_string();
            Problem::invalid(if path == "." { "body" } else { &path }, &why)
        } else {
            Problem::bad_request(format!("the body is not JSON: {why}"))
        }
    })?;
    json.end()
        .map_err(|why| Problem::bad_request(format!("the body is not JSON: {why}")))?;
    Ok(value)
}

/// The id in the path.
pub(super) struct Id(pub(super) Token<'static>);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::bad_request("the id in the path is not UTF-8"))?;
        let id = Token::parse(id).map_err(|expected| Problem::bad_request(format!("id: {expected}")))?;
        Ok(Self(id))
    }
}

/// The query parameters of a page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Most rows.
    #[serde(default = "most")]
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: i64,
    /// Only rows after this id: the last id of the previous page.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$", nullable = false)]
    after: Option<String>,
}

fn most() -> i64 {
    MAX_PAGE
}

/// The requested page.
pub(super) struct Page {
    pub(super) limit: i64,
    pub(super) after: Option<Token<'static>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(asked) = Query::<PageQuery>::try_from_uri(&parts.uri)
            .map_err(|why| Problem::bad_request(why.body_text()))?;
        if !(1..=MAX_PAGE).contains(&asked.limit) {
            return Err(Problem::bad_request("limit: expected a number from 1 to 100"));
        }
        let after = asked.after.map(Token::parse).transpose();
        Ok(Self {
            limit: asked.limit,
            after: after.map_err(|expected| Problem::bad_request(format!("after: {expected}")))?,
        })
    }
}

impl Page {
    /// Returns the `Link` header (RFC 8288) to the next page, when this one is full.
    pub(super) fn next(&self, path: &str, rows: usize, last: Option<&str>) -> HeaderMap {
        let full = i64::try_from(rows).is_ok_and(|rows| rows == self.limit);
        let link = last
            .filter(|_| full)
            .map(|last| format!("<{path}?limit={}&after={last}>; rel=\"next\"", self.limit));
        // An id has only characters that are valid in headers and URLs.
        let link = link.and_then(|link| link.try_into().ok());
        link.map(|link| (header::LINK, link)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the bodies of the routes: one text, and no other field.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sent {
        name: String,
    }

    #[test]
    fn fuzz_bodies_of_the_data_api() {
        rolekeeper_fuzz::fuzz("api_bodies", |body| {
            if let Ok(Sent { name }) = parse::<Sent>(body) {
                let json: serde_json::Value = serde_json::from_slice(body).expect("it is JSON");
                assert_eq!(json, serde_json::json!({ "name": name }));
            }
        });
    }
}
