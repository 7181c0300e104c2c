//! One bucket of the tenant as we picture it.
//!
//! Owns the estimate of its level and its hold after a 429. Must never raise the estimate on the word of a
//! header once it is confirmed: a reply may be old by the time it is read.

use std::time::Duration;

use super::RateHeaders;
use super::rate_plan::{MAX_LIMIT, MAX_RATE, MIN_RATE};

/// Longest hold that `X-RateLimit-Reset` can ask for, as in Auth0's own SDKs.
pub const MAX_RESET_HOLD: Duration = Duration::from_mins(1);
/// Longest hold that `Retry-After` can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// Hold after the first 429 in a row; doubled with each further one.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// Longest hold that the number of 429s alone leads to.
const LONGEST_STRIKE_HOLD: Duration = Duration::from_secs(30);
/// Share of the rate that looks may have that records alone ask for: whoever can make up records must not keep others waiting.
const SHARE_OF_RECORDS: f64 = 0.25;
/// Forgives the rounding of sums of fractions of a call.
pub(super) const EPSILON: f64 = 1e-6;

/// One bucket as we picture it.
#[derive(Debug)]
pub(super) struct Bucket {
    plan_burst: f64,
    plan_rate: f64,
    /// Calls that one look takes from it.
    look_cost: f64,
    reserve: f64,
    /// Size, in calls: the plan's burst until a header says otherwise.
    limit: f64,
    /// Calls in it that nobody has taken, as far as we know; a lower estimate.
    level: f64,
    /// When `level` was true.
    as_of: Duration,
    /// Calls taken from `level` whose reply has not been read: the tenant may not have counted them yet.
    unanswered: f64,
    /// Calls that looks asked for by records alone may take of it.
    for_records: f64,
    /// Whether a header has confirmed `level`; until then it is zero plus what came in.
    confirmed: bool,
    /// 429s in a row.
    strikes: u32,
    /// No look before this.
    pub(super) held_until: Duration,
}

impl Bucket {
    pub(super) fn new(burst: f64, rate: f64, look_cost: f64, reserve: f64, now: Duration) -> Self {
        let burst = burst.clamp(look_cost, MAX_LIMIT);
        Self {
            plan_burst: burst,
            // `max` once more, because it drops a NaN.
            plan_rate: rate.clamp(MIN_RATE, MAX_RATE).max(MIN_RATE),
            look_cost,
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

    /// Whether leaving the reserve in the bucket would leave too little for a look.
    fn shared_by_rate(&self) -> bool {
        self.limit - self.look_cost < self.reserve * self.limit
    }

    /// Calls left for other clients.
    fn kept(&self) -> f64 {
        if self.shared_by_rate() {
            0.0
        } else {
            self.reserve * self.limit
        }
    }

    /// Calls a second that come in for us. A limit below the plan's says that the plan is a smaller one, so
    /// its rate will be smaller too; a larger limit says nothing about the rate.
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

    pub(super) fn look_time(&self) -> Duration {
        Duration::from_secs_f64(self.look_cost / self.rate())
    }

    pub(super) fn until_affordable(&self) -> Duration {
        let missing = self.kept() + self.look_cost - self.level;
        if missing <= EPSILON {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(missing / self.rate())
        }
    }

    /// Brings `level` up to `now`; nothing comes in while held, so that a hold ends with a careful start.
    pub(super) fn refill(&mut self, now: Duration) {
        let since = now.saturating_sub(self.as_of.max(self.held_until)).as_secs_f64();
        self.level = (self.level + since * self.rate()).min(self.limit);
        let of_records = self.for_records + since * self.rate() * SHARE_OF_RECORDS;
        self.for_records = of_records.min(self.most_for_records());
        self.as_of = self.as_of.max(now);
    }

    /// A look that is taken because there was none for long may find less than it costs: that is owed.
    pub(super) fn pay_for_look(&mut self) {
        self.level = (self.level - self.look_cost).max(-self.look_cost);
        self.unanswered += self.look_cost;
    }

    /// Until a look that records alone ask for has its share; also while the bucket itself is full.
    pub(super) fn until_record_affordable(&self) -> Duration {
        let missing = self.look_cost - self.for_records;
        if missing <= EPSILON {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(missing / (self.rate() * SHARE_OF_RECORDS))
        }
    }

    pub(super) fn pay_for_record(&mut self) {
        self.for_records -= self.look_cost;
    }

    pub(super) fn refund_record(&mut self) {
        self.for_records = (self.for_records + 1.0).min(self.most_for_records());
    }

    fn most_for_records(&self) -> f64 {
        (self.limit * SHARE_OF_RECORDS).max(self.look_cost)
    }

    pub(super) fn refund(&mut self, now: Duration) {
        self.refill(now);
        self.settle_one();
        // The 429 that holds us has said that nothing is left, whatever was taken before.
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
            // Among what is left are the calls of ours that the tenant has not seen.
            let seen = (f64::from(remaining).min(self.limit) - self.unanswered).max(0.0);
            // A reply that was on its way when the 429 came says nothing about the time after the hold.
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
            // Several 429s of calls that were on their way together are one.
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
            self.limit = f64::from(limit).clamp(self.look_cost, MAX_LIMIT);
            self.level = self.level.min(self.limit);
        }
    }
}
