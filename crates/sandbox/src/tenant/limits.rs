//! The Management API's rate limit: plans, token buckets, and their headers.
//!
//! Owns the admission of calls and the values of `X-RateLimit-*`. Buckets refill continuously, which fits the
//! recorded headers (limit 10, remaining 9, 8, 5, 1: reset 1, 2, 4, 6 s ahead at 2/s). All clients share
//! them, as at Auth0. Must not read a clock: the caller passes the time since the tenant's start.
//!
//! **Clock factor** `k`: buckets refill `k` times as fast as in the plan; their size is unchanged. Times in headers stay
//! times of the real clock, the only one that clients have, so `X-RateLimit-Reset` is `k` times nearer. It still counts whole
//! seconds, rounded up, and is therefore `k` times coarser.

use std::time::Duration;

use time::OffsetDateTime;

use super::calls::Endpoint;

/// One bucket: its size, and its refill rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Size of the bucket in calls; at least 1.
    pub burst: u32,
    /// Calls that are added per second; above 0.
    pub per_second: f64,
}

impl Rate {
    /// Returns a bucket of `burst` calls that gains `per_second` calls per second.
    #[must_use]
    pub const fn new(burst: u32, per_second: f64) -> Self {
        Self { burst, per_second }
    }
}

/// Limits of a plan (Auth0 docs, rate-limit-configurations).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RatePlan {
    /// There is no limit and no headers.
    Unlimited,
    /// One bucket for the whole Management API.
    Global(Rate),
    /// One bucket for each group of endpoints, and none for all.
    Groups {
        /// GET of users, one or listed.
        read: Rate,
        /// POST and PATCH of users; that links count here is our choice.
        write: Rate,
        /// DELETE of users.
        delete: Rate,
        /// GET of the tenant's log.
        logs: Rate,
        /// All other endpoints.
        other: Rate,
    },
}

impl RatePlan {
    /// Free: 2 at once, 2/s.
    pub const FREE: Self = Self::Global(Rate::new(2, 2.0));
    /// Essentials and Professional: reads 40 and 500/min, writes 20 and 200/min, deletes the same, log 10 and 100/min.
    pub const SELF_SERVICE: Self = Self::Groups {
        read: Rate::new(40, 500.0 / 60.0),
        write: Rate::new(20, 200.0 / 60.0),
        delete: Rate::new(20, 200.0 / 60.0),
        logs: Rate::new(10, 100.0 / 60.0),
        other: Rate::new(10, 150.0 / 60.0),
    };
    /// Enterprise, production: 50 at once, 16/s.
    pub const ENTERPRISE: Self = Self::Global(Rate::new(50, 16.0));
    /// Enterprise, not production: 10 at once, 2/s.
    pub const ENTERPRISE_NONPROD: Self = Self::Global(Rate::new(10, 2.0));
}

/// The meaning of `X-RateLimit-Reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResetMeans {
    /// The time at which the bucket is full again, as in recordings.
    #[default]
    FullAgain,
    /// The time at which the next call is added, as in the documentation.
    NextCall,
}

/// The decision about one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Passage {
    pub allowed: bool,
    limit: u32,
    remaining: u32,
    full_in: Duration,
    next_in: Duration,
}

impl Passage {
    /// Returns `X-RateLimit-Limit`, `-Remaining` and `-Reset` as sent at `now`.
    pub(super) fn headers(&self, now: OffsetDateTime, means: ResetMeans) -> Vec<(String, String)> {
        let ahead = match means {
            ResetMeans::FullAgain => self.full_in,
            ResetMeans::NextCall => self.next_in,
        };
        let reset = (now + ahead).unix_timestamp_nanos();
        let reset = reset.div_euclid(1_000_000_000) + i128::from(reset.rem_euclid(1_000_000_000) > 0);
        vec![
            ("x-ratelimit-limit".into(), self.limit.to_string()),
            ("x-ratelimit-remaining".into(), self.remaining.to_string()),
            ("x-ratelimit-reset".into(), reset.to_string()),
        ]
    }

    /// Returns the whole seconds until a call is admitted; at least 1.
    pub(super) fn retry_after(&self) -> u64 {
        (self.next_in.as_secs() + u64::from(self.next_in.subsec_nanos() > 0)).max(1)
    }
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    filled_at: Duration,
}

impl Bucket {
    fn new(rate: Rate, factor: f64) -> Self {
        let rate = Rate::new(rate.burst, rate.per_second * factor);
        Self {
            rate,
            tokens: f64::from(rate.burst),
            filled_at: Duration::ZERO,
        }
    }

    fn take(&mut self, at: Duration) -> Passage {
        let burst = f64::from(self.rate.burst);
        let gained = at.saturating_sub(self.filled_at).as_secs_f64() * self.rate.per_second;
        self.tokens = (self.tokens + gained).min(burst);
        self.filled_at = at.max(self.filled_at);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        let whole = (0..=self.rate.burst)
            .rev()
            .find(|n| f64::from(*n) <= self.tokens)
            .unwrap_or(0);
        let until = |tokens: f64| {
            Duration::from_secs_f64((tokens.min(burst) - self.tokens).max(0.0) / self.rate.per_second)
        };
        Passage {
            allowed,
            limit: self.rate.burst,
            remaining: whole,
            full_in: until(burst),
            next_in: until(f64::from(whole) + 1.0),
        }
    }
}

/// The tenant's buckets.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Empty without a limit, one bucket for a global plan, else read, write, delete, logs, other.
    buckets: Vec<Bucket>,
}

impl Limiter {
    pub(super) fn new(plan: RatePlan, factor: f64) -> Self {
        let rates = match plan {
            RatePlan::Unlimited => vec![],
            RatePlan::Global(rate) => vec![rate],
            RatePlan::Groups {
                read,
                write,
                delete,
                logs,
                other,
            } => vec![read, write, delete, logs, other],
        };
        Self {
            buckets: rates.into_iter().map(|rate| Bucket::new(rate, factor)).collect(),
        }
    }

    /// Takes one call from the bucket, `at` after the tenant's start. `None`: there is no limit.
    pub(super) fn take(&mut self, endpoint: Endpoint, at: Duration) -> Option<Passage> {
        let group = match endpoint {
            Endpoint::ReadUser | Endpoint::ListUsers => 0,
            Endpoint::CreateUser | Endpoint::PatchUser | Endpoint::LinkIdentity => 1,
            Endpoint::DeleteUser | Endpoint::UnlinkIdentity => 2,
            Endpoint::ReadLogs | Endpoint::ReadLog => 3,
            // Endpoints outside the Management API have no bucket.
            Endpoint::Token
            | Endpoint::SignUp
            | Endpoint::Keys
            | Endpoint::Discovery
            | Endpoint::ExportFile
            | Endpoint::ExportUsers
            | Endpoint::ReadJob
            | Endpoint::Other => 4,
        };
        let last = self.buckets.len().checked_sub(1)?;
        Some(self.buckets[group.min(last)].take(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reset(passage: Passage, means: ResetMeans) -> i64 {
        let headers = passage.headers(OffsetDateTime::UNIX_EPOCH, means);
        headers[2].1.parse().unwrap()
    }

    #[test]
    fn resets_as_recorded_on_a_bucket_of_ten() {
        // Remaining 9, 8, 5, 1 against a reset 1, 2, 4, 6 s ahead of the response's whole second.
        let late_in_the_second = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(700);
        let mut limiter = Limiter::new(RatePlan::ENTERPRISE_NONPROD, 1.0);
        let mut seen = vec![];
        for _ in 0..9 {
            let passage = limiter.take(Endpoint::ReadUser, Duration::ZERO).unwrap();
            let headers = passage.headers(late_in_the_second, ResetMeans::FullAgain);
            seen.push((headers[1].1.clone(), headers[2].1.clone()));
        }
        for recorded in [("8", "2"), ("5", "4"), ("1", "6")] {
            assert!(
                seen.contains(&(recorded.0.into(), recorded.1.into())),
                "{recorded:?} in {seen:?}"
            );
        }
    }

    #[test]
    fn lets_the_burst_through_and_then_the_rate() {
        let mut limiter = Limiter::new(RatePlan::ENTERPRISE, 1.0);
        let passed = (0..80)
            .filter(|_| limiter.take(Endpoint::PatchUser, Duration::ZERO).unwrap().allowed)
            .count();
        assert_eq!(passed, 50);
        let refused = limiter.take(Endpoint::ReadUser, Duration::ZERO).unwrap();
        assert_eq!(
            (refused.allowed, refused.remaining, refused.retry_after()),
            (false, 0, 1)
        );
        let passed = (0..80)
            .filter(|_| limiter.take(Endpoint::ReadUser, SECOND).unwrap().allowed)
            .count();
        assert_eq!(passed, 16);
    }

    #[test]
    fn self_service_counts_reads_and_writes_apart() {
        let mut limiter = Limiter::new(RatePlan::SELF_SERVICE, 1.0);
        let mut passed = |endpoint, at| {
            (0..60)
                .filter(|_| limiter.take(endpoint, at).unwrap().allowed)
                .count()
        };
        assert_eq!(passed(Endpoint::PatchUser, Duration::ZERO), 20);
        assert_eq!(passed(Endpoint::CreateUser, Duration::ZERO), 0);
        assert_eq!(passed(Endpoint::ReadUser, Duration::ZERO), 40);
        assert_eq!(passed(Endpoint::DeleteUser, Duration::ZERO), 20);
        assert_eq!(passed(Endpoint::ReadLogs, Duration::ZERO), 10);
        assert_eq!(passed(Endpoint::ReadLogs, 6 * SECOND), 10);
        assert_eq!(passed(Endpoint::ReadUser, 3 * SECOND), 25);
        assert_eq!(passed(Endpoint::PatchUser, 3 * SECOND), 10);
    }

    #[test]
    fn a_faster_clock_refills_faster_and_resets_sooner() {
        let drain = |factor| {
            let mut limiter = Limiter::new(RatePlan::FREE, factor);
            limiter.take(Endpoint::ReadUser, Duration::ZERO);
            limiter.take(Endpoint::ReadUser, Duration::ZERO);
            limiter
        };
        let mut slow = drain(0.1);
        assert_eq!(
            reset(
                slow.take(Endpoint::ReadUser, Duration::ZERO).unwrap(),
                ResetMeans::FullAgain
            ),
            10
        );
        assert_eq!(
            reset(
                slow.take(Endpoint::ReadUser, Duration::ZERO).unwrap(),
                ResetMeans::NextCall
            ),
            5
        );
        assert!(!slow.take(Endpoint::ReadUser, 4 * SECOND).unwrap().allowed);
        let mut fast = drain(10.0);
        assert!(fast.take(Endpoint::ReadUser, SECOND / 20).unwrap().allowed);
        assert!(
            Limiter::new(RatePlan::Unlimited, 1.0)
                .take(Endpoint::ReadUser, SECOND)
                .is_none()
        );
    }
}
