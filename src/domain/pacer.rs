//! The budget of calls to the tenant.

use std::time::Duration;

/// What a reply said about the bucket it was paid from; `None` where a header was absent or no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// `X-RateLimit-Limit`: size of the bucket, in calls.
    pub limit: Option<u32>,
    /// `X-RateLimit-Remaining`: calls left after this one.
    pub remaining: Option<u32>,
    /// `X-RateLimit-Reset`: when the bucket is full again, in Unix seconds.
    pub reset_unix_s: Option<i64>,
    /// `Retry-After`: how long to stay away.
    pub retry_after: Option<Duration>,
}
