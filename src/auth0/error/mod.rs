//! Errors of a call, sorted by the actor of the next step.
//!
//! Owns the error type of this adapter and the meaning of Auth0's error bodies. Must never show a token, a secret
//! or an e-mail address: texts from outside are clipped and masked here, before they are printed.

use reqwest::StatusCode;
use serde_json::Value;
use time::OffsetDateTime;

use crate::metrics::CallResult;
use rolekeeper_domain::schedule::{DENIED_AT_MOST, Ended, UNCLEAR_AT_MOST};

#[cfg(test)]
mod tests;

/// Longest text from Auth0 that an error keeps, in characters.
const MAX_MESSAGE_CHARS: usize = 300;
/// `errorCode` of the only 404 about the user (recorded, auth0/go-auth0 and terraform-provider-auth0).
const UNKNOWN_USER: &str = "inexistent_user";
/// `errorCode` of a 403 about the client's scopes.
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";
/// Prefix of the message of that 403; it is not documented that the code is always present.
const INSUFFICIENT_SCOPE_SAYS: &str = "Insufficient scope";
/// Length from which a run of token characters counts as a secret (an Auth0 client secret has 64).
const SECRET_RUN: usize = 40;

/// The error of a call. Each variant names the actor of the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The tenant's rate limit is used up (429): wait as the reply's headers say; not a failure.
    #[error("Auth0 returned 429: the tenant's rate limit is used up")]
    Limited,
    /// No act is needed: a retry may succeed.
    #[error("{why}: {detail}{outcome}")]
    Later {
        /// The kind of failure.
        why: LaterWhy,
        /// Whether a write may nevertheless have been applied.
        outcome: Outcome,
        /// Text about the failure, for the operator.
        detail: String,
    },
    /// No act is needed: the user does not exist at Auth0, or no longer exists.
    #[error("Auth0 does not know this user")]
    Gone {
        /// Time of the response, by Auth0's clock; none where the response has no date.
        at: Option<OffsetDateTime>,
    },
    /// Auth0 refused this call. The operator must check this user or this program; where other users are refused too, the
    /// cause is the tenant.
    #[error("Auth0 refused the call with {status}: {message}")]
    Refused {
        /// The HTTP status; 0 when we refused the call before it was sent.
        status: u16,
        /// Auth0's `errorCode`, where there was one.
        error_code: Option<String>,
        /// Auth0's message, clipped and masked.
        message: String,
    },
    /// All calls stop, until the operator acts: the client's credentials, or its token, are not accepted.
    #[error(
        "Auth0 does not accept the client's credentials: {message}; check AUTH0_CLIENT_ID, and its secret or key (AUTH0_CLIENT_SECRET, \
         AUTH0_CLIENT_KEY_FILE)"
    )]
    Credentials {
        /// Auth0's message, clipped and masked.
        message: String,
    },
    /// All calls stop, until the operator acts: the client is known, but lacks the permission for the call.
    #[error("Auth0 does not allow the client to do this: {message}")]
    Scope {
        /// Auth0's message, clipped and masked.
        message: String,
    },
}

/// The kinds of temporary failure; a closed list, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaterWhy {
    /// There is no connection, or it was lost before a response.
    Network,
    /// No complete response arrived in time.
    Timeout,
    /// The status is 5xx (Cloudflare's 524 too), 408 or 409.
    Server,
    /// The response cannot be understood: incomplete, too large, HTML, not a user, a redirect.
    BadAnswer,
    /// The status is 404, without the error code for an unknown user.
    NotFound,
    /// No token could be fetched, so the call was not made.
    TokenUnavailable,
    /// The time in which a write may follow its read was over, so the write was not sent.
    TooLate,
}

/// Whether a failed call may have changed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No write reached Auth0: the call was a read, or it was never sent.
    NotSent,
    /// A write was sent and its response not understood: it may have been applied.
    Unknown,
}

impl LaterWhy {
    /// All kinds, for a metric whose series exist from the start.
    pub const ALL: [Self; 7] = [
        Self::Network,
        Self::Timeout,
        Self::Server,
        Self::BadAnswer,
        Self::NotFound,
        Self::TokenUnavailable,
        Self::TooLate,
    ];

    /// Returns the kind as a label of a metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::BadAnswer => "bad_answer",
            Self::NotFound => "not_found",
            Self::TokenUnavailable => "token_unavailable",
            Self::TooLate => "too_late",
        }
    }
}

impl std::fmt::Display for LaterWhy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Network => "Auth0 could not be reached",
            Self::Timeout => "Auth0 did not respond in time",
            Self::Server => "Auth0 reported a server error",
            Self::BadAnswer | Self::NotFound => "Auth0's response could not be understood",
            Self::TokenUnavailable => "no token could be fetched",
            Self::TooLate => "the write was not sent",
        })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotSent => "",
            Self::Unknown => "; the write may have been applied",
        })
    }
}

impl From<&CallError> for Ended {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Limited => Self::Limited,
            // Without a token no call is possible, and the user is not the cause.
            CallError::Later {
                why: LaterWhy::TokenUnavailable,
                ..
            }
            | CallError::Credentials { .. }
            | CallError::Scope { .. } => Self::Stopped {
                reason: error.to_string(),
            },
            CallError::Later {
                why: LaterWhy::BadAnswer | LaterWhy::NotFound,
                ..
            } => Self::Doubtful {
                reason: error.to_string(),
                most: UNCLEAR_AT_MOST,
            },
            CallError::Later { .. } => Self::Later,
            CallError::Gone { .. } => Self::Settled,
            CallError::Refused { .. } if error.is_denied() => Self::Doubtful {
                reason: error.to_string(),
                most: DENIED_AT_MOST,
            },
            CallError::Refused { .. } => Self::Refused {
                reason: error.to_string(),
            },
        }
    }
}

impl CallError {
    /// Returns the error as a label of a metric.
    #[must_use]
    pub fn result(&self) -> CallResult {
        match self {
            Self::Limited => CallResult::Limited,
            Self::Later { .. } => CallResult::Later,
            Self::Gone { .. } => CallResult::Gone,
            Self::Refused { .. } => CallResult::Refused,
            Self::Credentials { .. } => CallResult::Credentials,
            Self::Scope { .. } => CallResult::Scope,
        }
    }

    /// Returns whether access was denied (401, 403) without a reason: the cause may be one user, or concern all users.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: 401 | 403,
                ..
            }
        )
    }

    /// Returns the code that failures of many users have in common, if the cause is the tenant and not the user.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Refused {
                status, error_code, ..
            } => Some(match error_code {
                Some(code) => format!("{status} {code}"),
                None => status.to_string(),
            }),
            // The response to a write proves nothing about the profile itself, so its code is another one.
            Self::Later {
                why: LaterWhy::BadAnswer | LaterWhy::NotFound,
                outcome,
                ..
            } => Some(match outcome {
                Outcome::NotSent => LaterWhy::BadAnswer.as_str().to_owned(),
                Outcome::Unknown => "bad_answer_to_a_write".to_owned(),
            }),
            _ => None,
        }
    }

    /// Returns the error of an unsuccessful response of the users endpoints. Only an error code of Auth0 proves that a user
    /// is unknown or that the client lacks a scope: any other response may come from a gateway in between. `at`: the
    /// response's date.
    pub(super) fn from_answer(
        status: StatusCode,
        body: &[u8],
        after_failure: Outcome,
        at: Option<OffsetDateTime>,
    ) -> Self {
        let later = |why, detail| Self::Later {
            why,
            outcome: after_failure,
            detail,
        };
        let said = ErrorBody::read(body);
        match status.as_u16() {
            429 => Self::Limited,
            408 | 409 | 500.. => later(LaterWhy::Server, said.with(status)),
            403 if said.is_insufficient_scope() => Self::Scope {
                message: said.with(status),
            },
            denied @ (401 | 403) if looks_like_html(body) => Self::Refused {
                status: denied,
                error_code: None,
                message:
                    "an HTML page, which Auth0 does not send: check the proxies between worker and Auth0"
                        .to_owned(),
            },
            // An HTML page comes from a gateway in between: it proves nothing about the user.
            400.. if looks_like_html(body) => later(
                LaterWhy::BadAnswer,
                format!("an HTML page with status {}", status.as_u16()),
            ),
            404 if said.code.as_deref() == Some(UNKNOWN_USER) => Self::Gone { at },
            404 => later(
                LaterWhy::NotFound,
                format!("{}, without the error code {UNKNOWN_USER}", said.with(status)),
            ),
            400.. => Self::Refused {
                status: status.as_u16(),
                error_code: said.code,
                message: said.message,
            },
            other => later(LaterWhy::BadAnswer, format!("unexpected status {other}")),
        }
    }

    /// Returns the error of an unsuccessful response of the token endpoint. A fault that the operator must correct stops all
    /// calls, since none is possible without a token. `drift`: text about a wrong clock of this host.
    pub(super) fn from_token_answer(status: StatusCode, body: &[u8], drift: Option<String>) -> Self {
        let said = ErrorBody::read(body);
        let message = match drift {
            Some(drift) => format!("{}; {drift}", said.with(status)),
            None => said.with(status),
        };
        match status.as_u16() {
            // A wrong secret or id has the error code of a missing grant, with another status.
            401 => Self::Credentials { message },
            403 => Self::Scope { message },
            400.. if said.error.as_deref() == Some("access_denied") => Self::Scope { message },
            408 | 409 | 429 | 500.. | ..400 => Self::token_unavailable(message),
            _ => Self::Credentials { message },
        }
    }

    pub(super) fn token_unavailable(detail: String) -> Self {
        Self::Later {
            why: LaterWhy::TokenUnavailable,
            outcome: Outcome::NotSent,
            detail,
        }
    }
}

/// The content of an error body. The Management API sends `message` and sometimes `errorCode`, the token endpoint
/// `error` and `error_description`; both may send plain text or nothing.
struct ErrorBody {
    /// `errorCode` of the Management API.
    code: Option<String>,
    /// `error`: a reason phrase of the Management API, a code of the token endpoint.
    error: Option<String>,
    message: String,
}

impl ErrorBody {
    fn read(body: &[u8]) -> Self {
        let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let field = |name: &str| json.get(name).and_then(Value::as_str).map(presentable);
        let text = || {
            let usable = !looks_like_html(body) && !json.is_object();
            usable.then(|| presentable(&String::from_utf8_lossy(body)))
        };
        Self {
            code: field("errorCode"),
            error: field("error"),
            message: field("message")
                .or_else(|| field("error_description"))
                .or_else(|| field("error"))
                .or_else(text)
                .filter(|message| !message.is_empty())
                .unwrap_or_else(|| "no explanation given".to_owned()),
        }
    }

    fn is_insufficient_scope(&self) -> bool {
        self.code.as_deref() == Some(INSUFFICIENT_SCOPE) || self.message.starts_with(INSUFFICIENT_SCOPE_SAYS)
    }

    fn with(&self, status: StatusCode) -> String {
        format!("status {}, {}", status.as_u16(), self.message)
    }
}

pub(super) fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Returns `raw` in a form that may be printed and stored: one line, clipped, without words that look like an e-mail address
/// or a secret.
pub(super) fn presentable(raw: &str) -> String {
    let words = raw
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let masked = words.map(|word| if is_private(word) { "[hidden]" } else { word });
    // The text is clipped last: half a secret would not be recognized.
    masked
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_MESSAGE_CHARS)
        .collect()
}

fn is_private(word: &str) -> bool {
    let token_char = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    word.contains('@') || word.split(|c| !token_char(c)).any(|run| run.len() >= SECRET_RUN)
}
