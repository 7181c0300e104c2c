//! What goes into a call and what comes of it.
//!
//! Owns the time after which a body is not sent. Must never make a call.

use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::error::{CallError, LaterWhy, Outcome};
use super::token::NoToken;
use rolekeeper_domain::pacer::RateHeaders;

/// What came of a call, and what its reply said about the rate limit.
#[derive(Debug)]
pub struct Reply<T> {
    /// The answer, or who acts next.
    pub result: Result<T, CallError>,
    /// Of the last answer; all `None` when there was none.
    pub rate: RateHeaders,
    /// `Date` of the last answer: Auth0's clock, in whole seconds.
    pub date: Option<OffsetDateTime>,
    /// When the last answer began to come, by this machine; none when there was none.
    pub answered_at: Option<Instant>,
}

/// A body to be written, and until when it may be sent.
pub(super) struct Write<'a> {
    pub(super) body: &'a Value,
    pub(super) until: Instant,
}

impl Write<'_> {
    /// Refuses a write whose time is over: what it was decided on has grown old.
    pub(super) fn in_time(&self) -> Result<(), CallError> {
        if Instant::now() <= self.until {
            return Ok(());
        }
        Err(CallError::Later {
            why: LaterWhy::TooLate,
            outcome: Outcome::NotSent,
            detail: "too much time has passed since the profile was read".to_owned(),
        })
    }
}

impl<T> From<CallError> for Reply<T> {
    /// A call without an answer.
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
        // The token endpoint has a bucket of its own: only its Retry-After concerns the caller.
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
