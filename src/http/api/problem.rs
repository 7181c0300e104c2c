//! Errors of the data API as problem details (RFC 9457).
//!
//! Owns their form, their codes and the headers that belong to them. Must never show the cause of an error of
//! ours: that goes to the log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

use crate::auth0::Refusal;
use crate::flow::publish::NotPublished;
use crate::store::StoreError;

/// Their content type.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// When to come back after something that mends itself.
const COME_BACK_S: u64 = 5;

/// What went wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// The request is not well formed.
    BadRequest,
    /// No valid access token.
    Unauthorized,
    /// The access token lacks a scope, which `detail` names.
    MissingScope,
    /// Only for holders of the role `playlist_editor`.
    NotAnEditor,
    /// The user was erased for good; nothing is kept of them.
    Erased,
    /// There is no such thing, or it is somebody else's.
    NotFound,
    /// The route has no such method.
    MethodNotAllowed,
    /// The user has as many as one may have.
    LimitReached,
    /// The body is too large.
    TooLarge,
    /// The body is not JSON by its content type.
    UnsupportedMediaType,
    /// The body is JSON, but a field is not what it must be.
    Invalid,
    /// Too many requests.
    RateLimited,
    /// Something the answer needs is away.
    Unavailable,
    /// A fault of the server.
    Internal,
}

/// What is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: what went wrong is told by `code`.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong, for programs.
    code: Code,
    /// What went wrong and what to do, for people.
    detail: String,
    /// The genres one can choose from, where an unknown one was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    genres: Option<Vec<String>>,
}

/// An error on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: Code,
    detail: String,
    genres: Option<Vec<String>>,
    retry_after_s: Option<u64>,
    challenge: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: Code, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            genres: None,
            retry_after_s: None,
            challenge: None,
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, detail)
    }

    pub(super) fn not_found(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, detail)
    }

    /// The field of the body that is not as it must be, and how it must be.
    pub(super) fn invalid(field: &str, expected: &str) -> Self {
        let detail = format!("{field}: {expected}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::Invalid, detail)
    }

    pub(super) fn limit_reached(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, Code::LimitReached, detail)
    }

    pub(super) fn rate_limited(retry_after_s: u64) -> Self {
        let detail = format!("too many requests; the next one is taken in {retry_after_s} s");
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited, detail)
        }
    }

    pub(super) fn unavailable(detail: &str) -> Self {
        Self {
            retry_after_s: Some(COME_BACK_S),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, detail)
        }
    }

    /// A token that was refused for a request that needs this scope.
    pub(super) fn of_token(refusal: Refusal, scope: &str) -> Self {
        let explained = refusal.explained();
        let realm = "Bearer realm=\"rolekeeper\"";
        let challenge = match refusal {
            Refusal::Unavailable => return Self::unavailable(explained),
            // RFC 6750, 3.1: a request without any token is told no error code.
            Refusal::Missing => realm.to_owned(),
            Refusal::Scope => format!("{realm}, error=\"insufficient_scope\", scope=\"{scope}\""),
            _ => format!("{realm}, error=\"invalid_token\", error_description=\"{explained}\""),
        };
        let problem = if refusal == Refusal::Scope {
            let detail = format!("the token lacks the scope {scope}; let the app ask for it at the login");
            Self::new(StatusCode::FORBIDDEN, Code::MissingScope, detail)
        } else {
            Self::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, explained)
        };
        Self {
            challenge: Some(challenge),
            ..problem
        }
    }

    pub(super) fn with_genres(self, genres: &[String]) -> Self {
        Self {
            genres: Some(genres.to_vec()),
            ..self
        }
    }
}

impl From<StoreError> for Problem {
    fn from(why: StoreError) -> Self {
        match why {
            StoreError::Erased => {
                let detail = "this user was erased for good; nothing is kept of them";
                Self::new(StatusCode::FORBIDDEN, Code::Erased, detail)
            }
            StoreError::Postgres(_) => {
                warn!("a request of the data API was not served: {why}");
                Self::unavailable("the database is away; nothing was changed that was not confirmed")
            }
            why => {
                error!("a request of the data API failed: {why}");
                let detail = "a fault of the server; it is in its log";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, detail)
            }
        }
    }
}

impl From<NotPublished> for Problem {
    fn from(why: NotPublished) -> Self {
        warn!("a playlist's event was not published: {why}");
        Self::unavailable("the change cannot be taken right now; send it again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            genres: self.genres,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // Made of our own words: always a header value.
        if let Some(Ok(challenge)) = self.challenge.map(HeaderValue::try_from) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
