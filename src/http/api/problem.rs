//! Errors of the data API as problem details (RFC 9457).
//!
//! Owns their form, their codes and their headers. Must never show the cause of a server error: that goes to the log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

use crate::auth0::Refusal;
use crate::flow::publish::NotPublished;
use crate::store::StoreError;

/// Content type of problem details.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// Seconds until a retry, after a temporary failure.
const COME_BACK_S: u64 = 5;

/// The kind of error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// The request is not well formed.
    BadRequest,
    /// The request has no valid access token.
    Unauthorized,
    /// The access token lacks a scope, which `detail` names.
    MissingScope,
    /// The caller does not hold the role `playlist_editor`.
    NotAnEditor,
    /// The user was erased permanently; no data about the user is stored.
    Erased,
    /// The item does not exist, or belongs to another user.
    NotFound,
    /// The route does not support this method.
    MethodNotAllowed,
    /// The user has reached the limit of items.
    LimitReached,
    /// The body is too large.
    TooLarge,
    /// The content type of the body is not JSON.
    UnsupportedMediaType,
    /// The body is JSON, but a field is invalid.
    Invalid,
    /// The user sent too many requests.
    RateLimited,
    /// The database, NATS or the tenant's keys are unavailable.
    Unavailable,
    /// The server has a fault; its log has the cause.
    Internal,
}

/// The body of an error response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: `code` names the kind of error.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The kind of error, for programs.
    code: Code,
    /// The error and its remedy, for people.
    detail: String,
    /// The offered genres, where an unknown genre was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    genres: Option<Vec<String>>,
}

/// An error that becomes a response.
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

    /// Returns the problem of an invalid field of the body, with the expected value.
    pub(super) fn invalid(field: &str, expected: &str) -> Self {
        let detail = format!("{field}: {expected}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::Invalid, detail)
    }

    pub(super) fn limit_reached(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, Code::LimitReached, detail)
    }

    pub(super) fn rate_limited(retry_after_s: u64) -> Self {
        let detail = format!("too many requests; retry in {retry_after_s} s");
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

    /// Returns the problem of a refused token, for a request that needs this scope.
    pub(super) fn of_token(refusal: Refusal, scope: &str) -> Self {
        let explained = refusal.explained();
        let realm = "Bearer realm=\"rolekeeper\"";
        let challenge = match refusal {
            Refusal::Unavailable => return Self::unavailable(explained),
            // RFC 6750, 3.1: the response to a request without a token has no error code.
            Refusal::Missing => realm.to_owned(),
            Refusal::Scope => format!("{realm}, error=\"insufficient_scope\", scope=\"{scope}\""),
            _ => format!("{realm}, error=\"invalid_token\", error_description=\"{explained}\""),
        };
        let problem = if refusal == Refusal::Scope {
            let detail = format!("the token lacks the scope {scope}; the app must request it at the login");
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
                let detail = "this user was erased permanently; no data about the user is stored";
                Self::new(StatusCode::FORBIDDEN, Code::Erased, detail)
            }
            StoreError::Postgres(_) => {
                warn!("a request of the data API got 503, the database is unavailable: {why}");
                Self::unavailable("the database is unavailable; only confirmed changes were stored; retry")
            }
            why => {
                error!("a request of the data API failed with 500: {why}");
                let detail = "a fault of the server; the server's log has the cause";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, detail)
            }
        }
    }
}

impl From<NotPublished> for Problem {
    fn from(why: NotPublished) -> Self {
        warn!("a request of the data API got 503, the event of a playlist was not published: {why}");
        Self::unavailable("the change cannot be accepted now; send it again")
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
        // The text consists of our own words, so it is always a valid header value.
        if let Some(Ok(challenge)) = self.challenge.map(HeaderValue::try_from) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
