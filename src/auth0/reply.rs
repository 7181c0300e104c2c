//! The body and the result of a call.
//!
//! Owns the time after which a body is not sent. Must never make a call.

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::error::{CallError, LaterWhy, Outcome};
use super::timed_body::{TimedBody, in_time};
use super::token::NoToken;
use rolekeeper_domain::pacer::RateHeaders;

/// The result of a call, and the rate-limit headers of its response.
#[derive(Debug)]
pub struct Reply<T> {
    /// The value of the response, or the error.
    pub result: Result<T, CallError>,
    /// Rate-limit headers of the last response; all `None` without one.
    pub rate: RateHeaders,
    /// `Date` of the last response: Auth0's clock, in whole seconds.
    pub date: Option<OffsetDateTime>,
    /// When the header of the last response arrived, by this host's clock; none without one.
    pub answered_at: Option<Instant>,
}

impl<T> Reply<T> {
    /// The reply with a result that follows from this one; headers and times stay.
    pub(super) fn map_result<U>(
        self,
        result: impl FnOnce(Result<T, CallError>) -> Result<U, CallError>,
    ) -> Reply<U> {
        Reply {
            result: result(self.result),
            rate: self.rate,
            date: self.date,
            answered_at: self.answered_at,
        }
    }
}

/// The body of a write, and the time until which it may be sent.
pub(super) struct Write<'a> {
    pub(super) body: &'a Value,
    pub(super) until: Instant,
}

impl Write<'_> {
    /// Refuses a write whose time is over.
    pub(super) fn in_time(&self) -> Result<(), CallError> {
        in_time(self.until).map_err(|too_late| CallError::Later {
            why: LaterWhy::TooLate,
            outcome: Outcome::NotSent,
            detail: too_late.to_string(),
        })
    }

    /// Returns the request with the body, which is not sent once its time is over.
    pub(super) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        let body = TimedBody::new(self.body.to_string().into(), self.until);
        request
            .header(CONTENT_TYPE, "application/json")
            .body(reqwest::Body::wrap(body))
    }
}

impl<T> From<CallError> for Reply<T> {
    /// Returns the reply of a call without a response.
    fn from(error: CallError) -> Self {
        Self {
            result: Err(error),
            rate: RateHeaders::default(),
            date: None,
            answered_at: None,
        }
    }
}

impl<T> From<NoToken> for Reply<T> {
    fn from(no_token: NoToken) -> Self {
        // The token endpoint has a separate rate limit: only its Retry-After concerns the caller.
        let rate = RateHeaders {
            retry_after: no_token.retry_after,
            ..RateHeaders::default()
        };
        Self {
            rate,
            ..no_token.error.into()
        }
    }
}
