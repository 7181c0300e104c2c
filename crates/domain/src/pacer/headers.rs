//! The rate limit headers of a response.
//!
//! Owns their parts, as values.

use std::time::Duration;

/// Rate limit headers of a response; `None` where a header was absent or no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// `X-RateLimit-Limit`: size of the bucket, in calls.
    pub limit: Option<u32>,
    /// `X-RateLimit-Remaining`: calls left after this one.
    pub remaining: Option<u32>,
    /// `X-RateLimit-Reset`: time at which the bucket is full again, in Unix seconds.
    pub reset_unix_s: Option<i64>,
    /// `Retry-After`: time to wait.
    pub retry_after: Option<Duration>,
}
