//! What can go wrong with a call, sorted by who acts next.
//!
//! Owns the error type of this adapter and what Auth0's error bodies mean. Must never show a token, a secret
//! or an e-mail address: texts that come from outside are clipped and masked here, before anyone prints them.

use reqwest::StatusCode;
use serde_json::Value;
use time::OffsetDateTime;

use rolekeeper_domain::schedule::{DENIED_AT_MOST, Ended, UNCLEAR_AT_MOST};

#[cfg(test)]
mod tests;

/// Longest text of Auth0's that an error keeps, in characters.
const MAX_MESSAGE_CHARS: usize = 300;
/// `errorCode` of the only 404 that speaks of the user (recorded, auth0/go-auth0 and terraform-provider-auth0).
const UNKNOWN_USER: &str = "inexistent_user";
/// `errorCode` of a 403 that speaks of the client's scopes.
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";
/// How the message of that 403 begins; the code is not documented to be there.
const INSUFFICIENT_SCOPE_SAYS: &str = "Insufficient scope";
/// A run of token characters this long is taken for a secret (an Auth0 client secret has 64).
const SECRET_RUN: usize = 40;

/// Why a call did not do what was asked. Each variant says who acts next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The tenant's rate limit is used up (429): wait as the reply's headers say; not a failure.
    #[error("Auth0 answered 429: the tenant's rate limit is used up")]
    Limited,
    /// Nobody: the same call later may do.
    #[error("{why}: {detail}{outcome}")]
    Later {
        /// What kind of trouble.
        why: LaterWhy,
        /// Whether a write may have been applied all the same.
        outcome: Outcome,
        /// The trouble in words, for a person.
        detail: String,
    },
    /// Nobody: the user does not exist at Auth0 (any more).
    #[error("Auth0 does not know this user")]
    Gone {
        /// When Auth0 said so, by its own clock; none where the answer has no date.
        at: Option<OffsetDateTime>,
    },
    /// This one call was refused. An operator must look at this user or at this program, unless other users are
    /// refused too: then it is the tenant.
    #[error("Auth0 refused the call with {status}: {message}")]
    Refused {
        /// The HTTP status; 0 when we refused before anything was sent.
        status: u16,
        /// Auth0's `errorCode`, where there was one.
        error_code: Option<String>,
        /// Auth0's message, clipped and masked.
        message: String,
    },
    /// Everyone stops: the client's credentials, or the token they earn, are not accepted.
    #[error("Auth0 does not accept the client's credentials: {message}")]
    Credentials {
        /// Auth0's message, clipped and masked.
        message: String,
    },
    /// Everyone stops: the client is known but not allowed to do this.
    #[error("Auth0 does not allow the client to do this: {message}")]
    Scope {
        /// Auth0's message, clipped and masked.
        message: String,
    },
}

/// The kinds of trouble that pass by themselves; closed, so that it can label a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaterWhy {
    /// No connection, or it broke before an answer.
    Network,
    /// No complete answer in time.
    Timeout,
    /// 5xx, Cloudflare's 524, 408 or 409.
    Server,
    /// An answer that cannot be understood: torn, too large, HTML, not a user, a redirect.
    BadAnswer,
    /// A 404 that does not say of a user that Auth0 does not know them.
    NotFound,
    /// No token could be had, so the call was not made.
    TokenUnavailable,
    /// The time in which a write may follow its read was over, so it was not sent.
    TooLate,
}

/// Whether a call that failed may have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No write reached Auth0: it was a read, or it was never sent.
    NotSent,
    /// A write was sent and its answer not understood: it may have been applied.
    Unknown,
}

impl LaterWhy {
    /// Every kind, for a metric whose series exist from the start.
    pub const ALL: [Self; 7] = [
        Self::Network,
        Self::Timeout,
        Self::Server,
        Self::BadAnswer,
        Self::NotFound,
        Self::TokenUnavailable,
        Self::TooLate,
    ];

    /// As a label.
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
            Self::Timeout => "Auth0 did not answer in time",
            Self::Server => "Auth0 is in trouble",
            Self::BadAnswer | Self::NotFound => "Auth0's answer could not be understood",
            Self::TokenUnavailable => "no token could be had",
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
            // Without a token nobody can work, and it is no user's fault.
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
    /// As a label.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Later { .. } => "later",
            Self::Gone { .. } => "gone",
            Self::Refused { .. } => "refused",
            Self::Credentials { .. } => "credentials",
            Self::Scope { .. } => "scope",
        }
    }

    /// Whether access was denied (401, 403) with nothing that says why: that may be about one user, or about all.
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

    /// What the failures have in common that many users in a row may meet, if the tenant and not the user is at fault.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Refused {
                status, error_code, ..
            } => Some(match error_code {
                Some(code) => format!("{status} {code}"),
                None => status.to_string(),
            }),
            // The answer to a write says nothing of how legible the profile is.
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

    /// The error that an answer of the users endpoints stands for, when its status is no success. Only what Auth0
    /// itself says by its error code speaks of a user's end or of the client's scopes: anything else may come from a
    /// gateway in between. `at`: the answer's date.
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
        let said = Said::read(body);
        match status.as_u16() {
            429 => Self::Limited,
            408 | 409 | 500.. => later(LaterWhy::Server, said.with(status)),
            403 if said.is_insufficient_scope() => Self::Scope {
                message: said.with(status),
            },
            denied @ (401 | 403) if looks_like_html(body) => Self::Refused {
                status: denied,
                error_code: None,
                message: "an HTML page, which Auth0 does not send: look at what lies between".to_owned(),
            },
            // A page comes from something in between: it says nothing about the user.
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

    /// The error that an answer of the token endpoint stands for, when its status is no success. Whatever a
    /// person has to mend stops everyone: without a token nobody can work. `drift`: what is to be said of this
    /// machine's clock.
    pub(super) fn from_token_answer(status: StatusCode, body: &[u8], drift: Option<String>) -> Self {
        let said = Said::read(body);
        let message = match drift {
            Some(drift) => format!("{}; {drift}", said.with(status)),
            None => said.with(status),
        };
        match status.as_u16() {
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

/// What an error body says. The Management API sends `message` and sometimes `errorCode`, the token endpoint
/// `error` and `error_description`; either may send plain text or nothing.
struct Said {
    /// `errorCode` of the Management API.
    code: Option<String>,
    /// `error`: a reason phrase of the Management API, a code of the token endpoint.
    error: Option<String>,
    message: String,
}

impl Said {
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

/// `raw` as it may be printed and stored: one line, clipped, without what looks like an e-mail address or a
/// secret.
pub(super) fn presentable(raw: &str) -> String {
    let words = raw
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let masked = words.map(|word| if is_private(word) { "[hidden]" } else { word });
    // Clipped last: half a secret would not look like one.
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
