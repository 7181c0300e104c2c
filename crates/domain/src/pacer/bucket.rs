//! The estimate of one of the tenant's token buckets.
//!
//! Owns the estimated level and the hold after a 429. Must never raise a confirmed estimate because of a header: a
//! response may be old when it is read.

use std::time::Duration;

use super::RateHeaders;
use super::rate_plan::{MAX_HEADER_LIMIT, MAX_RATE, MIN_RATE};

/// Longest hold that `X-RateLimit-Reset` can request, as in Auth0's own SDKs.
pub const MAX_RESET_HOLD: Duration = Duration::from_mins(1);
/// Longest hold that `Retry-After` can request.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// Hold after the first 429 in a row; doubled with each further one.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// Longest hold caused by the number of 429s alone.
const LONGEST_STRIKE_HOLD: Duration = Duration::from_secs(30);
/// Share of the rate for attempts caused by records alone. A sender of forged records must not delay other users.
const SHARE_OF_RECORDS: f64 = 0.25;
/// Tolerates the rounding of sums of fractions of a call.
pub(super) const EPSILON: f64 = 1e-6;

/// The estimate of one bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    plan_burst: f64,
    plan_rate: f64,
    /// Calls that one attempt takes from the bucket.
    attempt_cost: f64,
    reserve: f64,
    /// Size in calls: the plan's burst until a header reports another.
    limit: f64,
    /// Estimated calls left in the bucket; a lower bound.
    level: f64,
    /// Time at which `level` was true.
    as_of: Duration,
    /// Calls taken from `level` without a response yet: the tenant may not have counted them.
    unanswered: f64,
    /// Calls available to attempts caused by records alone.
    for_records: f64,
    /// Whether a header has confirmed `level`; until then it is zero plus the refill.
    confirmed: bool,
    /// Consecutive 429s.
    strikes: u32,
    /// No attempt starts before this time.
    pub(super) held_until: Duration,
}

impl Bucket {
    pub(super) fn new(burst: f64, rate: f64, attempt_cost: f64, reserve: f64, now: Duration) -> Self {
        let burst = burst.max(attempt_cost);
        Self {
            plan_burst: burst,
            // The second `max` replaces a NaN.
            plan_rate: rate.clamp(MIN_RATE, MAX_RATE).max(MIN_RATE),
            attempt_cost,
            reserve,
            limit: burst,
            level: 0.0,
            as_of: now,
            unanswered: 0.0,
            for_records: 0.0,
            confirmed: false,
            strikes: 0,
            held_until: Duration::ZERO,
        }
    }

    pub(super) fn set_reserve(&mut self, reserve: f64) {
        self.reserve = reserve;
    }

    /// Whether the reserve would leave too few calls in the bucket for an attempt.
    fn shared_by_rate(&self) -> bool {
        self.limit - self.attempt_cost < self.reserve * self.limit
    }

    /// Calls left for other clients.
    fn kept(&self) -> f64 {
        if self.shared_by_rate() {
            0.0
        } else {
            self.reserve * self.limit
        }
    }

    /// Calls per second available to us. A limit below the plan's means a smaller plan, so its rate is lowered too; a
    /// larger limit says nothing about the rate.
    fn rate(&self) -> f64 {
        let ours = if self.shared_by_rate() {
            1.0 - self.reserve
        } else {
            1.0
        };
        (self.plan_rate * ours * (self.limit / self.plan_burst).min(1.0)).max(MIN_RATE)
    }

    pub(super) fn fill_time(&self) -> Duration {
        Duration::from_secs_f64(self.limit / self.rate())
    }

    /// Whether a read that finds the bucket less than full leaves no call for its write.
    pub(super) fn holds_one_attempt(&self) -> bool {
        self.limit < self.attempt_cost + 1.0
    }

    pub(super) fn attempt_time(&self) -> Duration {
        Duration::from_secs_f64(self.attempt_cost / self.rate())
    }

    pub(super) fn until_affordable(&self) -> Duration {
        let missing = self.kept() + self.attempt_cost - self.level;
        if missing <= EPSILON {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(missing / self.rate())
        }
    }

    /// Refills `level` up to `now`. Nothing is added during a hold, so that the bucket starts low after it.
    pub(super) fn refill(&mut self, now: Duration) {
        let since = now.saturating_sub(self.as_of.max(self.held_until)).as_secs_f64();
        self.level = (self.level + since * self.rate()).min(self.limit);
        let of_records = self.for_records + since * self.rate() * SHARE_OF_RECORDS;
        self.for_records = of_records.min(self.most_for_records());
        self.as_of = self.as_of.max(now);
    }

    /// Takes the cost of an attempt. The level may become negative when an attempt is forced after a long wait.
    pub(super) fn pay_for_attempt(&mut self) {
        self.level = (self.level - self.attempt_cost).max(-self.attempt_cost);
        self.unanswered += self.attempt_cost;
    }

    /// Time until an attempt caused by records alone has its share; also while the bucket itself is full.
    pub(super) fn until_record_affordable(&self) -> Duration {
        let missing = self.attempt_cost - self.for_records;
        if missing <= EPSILON {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(missing / (self.rate() * SHARE_OF_RECORDS))
        }
    }

    pub(super) fn pay_for_record(&mut self) {
        self.for_records -= self.attempt_cost;
    }

    pub(super) fn refund_record(&mut self) {
        self.for_records = (self.for_records + 1.0).min(self.most_for_records());
    }

    fn most_for_records(&self) -> f64 {
        (self.limit * SHARE_OF_RECORDS).max(self.attempt_cost)
    }

    pub(super) fn refund(&mut self, now: Duration) {
        self.refill(now);
        self.settle_one();
        // The 429 behind this hold has reported an empty bucket, whatever was taken before.
        if now >= self.held_until {
            self.level = (self.level + 1.0).min(self.limit);
        }
    }

    pub(super) fn answered(&mut self, now: Duration, headers: &RateHeaders) {
        self.refill(now);
        self.settle_one();
        self.adopt_limit(headers);
        let held = now < self.held_until;
        if let Some(remaining) = headers.remaining {
            // The remaining calls include ours that the tenant has not counted yet.
            let seen = (f64::from(remaining).min(self.limit) - self.unanswered).max(0.0);
            // A response sent before the 429 says nothing about the time after the hold.
            self.level = if self.confirmed || held {
                self.level.min(seen)
            } else {
                seen
            };
            self.confirmed |= !held;
        }
        if !held {
            self.strikes = 0;
        }
    }

    pub(super) fn limited(&mut self, now: Duration, unix_now_s: i64, headers: &RateHeaders) {
        self.refill(now);
        self.settle_one();
        self.adopt_limit(headers);
        self.level = 0.0;
        self.confirmed = false;
        if now >= self.held_until {
            // Several 429s of concurrent calls count as one.
            self.strikes = self.strikes.saturating_add(1);
        }
        let doublings = self.strikes.saturating_sub(1).min(5);
        let by_strikes = (FIRST_HOLD * 2_u32.pow(doublings)).min(LONGEST_STRIKE_HOLD);
        let until_reset = headers
            .reset_unix_s
            .map_or(0, |reset| reset.saturating_sub(unix_now_s));
        let by_reset = Duration::from_secs(u64::try_from(until_reset).unwrap_or(0)).min(MAX_RESET_HOLD);
        let by_retry_after = headers.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let hold = by_strikes.max(by_reset).max(by_retry_after);
        self.held_until = self.held_until.max(now + hold);
    }

    fn settle_one(&mut self) {
        self.unanswered = (self.unanswered - 1.0).max(0.0);
    }

    fn adopt_limit(&mut self, headers: &RateHeaders) {
        if let Some(limit) = headers.limit {
            self.limit = f64::from(limit).clamp(self.attempt_cost, self.plan_burst.max(MAX_HEADER_LIMIT));
            self.level = self.level.min(self.limit);
        }
    }
}
