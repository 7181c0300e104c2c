//! The budget of calls to the tenant.
//!
//! Owns one worker's estimate of the tenant's token buckets: filled by the plan, corrected by the headers of every
//! response. Must never trust a header beyond the plan (it may be wrong, missing, or from a clock that is off), never
//! wait without a limit, and never starve: a bucket that always looks empty is tried once per refill.
//!
//! A bucket holds at most its *limit* of calls and gains them steadily (Auth0 docs, rate-limit-policy). It is shared by
//! all clients of the tenant, so a *reserve* is left in it for other clients. The reserve is a level: while no other
//! client calls, the whole rate is used. A bucket too small for that, like the free plan's two calls, which one attempt
//! empties, is shared by rate instead.

mod bucket;
mod headers;
mod rate_plan;
mod scarcity;

use std::time::Duration;

use bucket::Bucket;
pub use bucket::{MAX_RESET_HOLD, MAX_RETRY_AFTER};
pub use headers::RateHeaders;
pub use rate_plan::RatePlan;
use scarcity::Scarcity;

/// Maximum share of the reserve; the rest keeps the worker running.
pub const MAX_RESERVE: f64 = 0.9;

/// One of the two calls of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// The GET.
    Read,
    /// The PATCH that may follow at once.
    Write,
}

/// Permission for one attempt: one paid read and one paid write. Each of the two ends with [`Pacer::answered`] or
/// [`Pacer::limited`], or returns unused by [`Pacer::refund`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    taken_at: Duration,
    /// Start of the previous attempt.
    before: Option<Duration>,
    /// Whether the attempt was caused by records alone.
    by_record: bool,
}

/// The unused part of a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// No call was made.
    Both,
    /// The read was made and no write was needed.
    Write,
}

/// Decides when the next attempt may start. All times `now` are of one monotonic clock.
#[derive(Debug)]
pub struct Pacer {
    /// Pays for reads, and for writes too where the plan has one bucket.
    read: Bucket,
    write: Option<Bucket>,
    last_attempt: Option<Duration>,
    scarcity: Scarcity,
}

impl Permit {
    /// Whether the attempt was caused by records alone.
    #[must_use]
    pub fn is_by_record(&self) -> bool {
        self.by_record
    }
}

impl Pacer {
    /// Starts with unknown levels: one attempt determines them. `reserve` is the share of the limit left for other
    /// clients, between 0 and [`MAX_RESERVE`].
    #[must_use]
    pub fn new(plan: RatePlan, reserve: f64, now: Duration) -> Self {
        // The second `max` replaces a NaN.
        let reserve = reserve.clamp(0.0, MAX_RESERVE).max(0.0);
        let (read, write) = plan.buckets();
        let attempt_cost = if write.is_some() { 1.0 } else { 2.0 };
        let bucket = |(burst, rate)| Bucket::new(burst, rate, attempt_cost, reserve, now);
        Self {
            read: bucket(read),
            write: write.map(bucket),
            last_attempt: None,
            scarcity: Scarcity::default(),
        }
    }

    /// Changes the share for other clients from `now` on.
    pub fn set_reserve(&mut self, now: Duration, reserve: f64) {
        let reserve = reserve.clamp(0.0, MAX_RESERVE).max(0.0);
        for bucket in self.buckets() {
            bucket.refill(now);
            bucket.set_reserve(reserve);
        }
    }

    /// Takes a read and a write together, because the write follows the read without waiting. Otherwise returns how
    /// long to wait before the next call: at least a millisecond, at most the longer of [`MAX_RETRY_AFTER`] and
    /// [`Self::refill_interval`].
    pub fn take_attempt(&mut self, now: Duration) -> Result<Permit, Duration> {
        self.buckets().for_each(|bucket| bucket.refill(now));
        let free_at = self
            .buckets()
            .map(|bucket| bucket.held_until)
            .max()
            .unwrap_or_default()
            .max(now);
        let affordable = self
            .buckets()
            .map(|bucket| bucket.until_affordable())
            .max()
            .unwrap_or_default();
        let starving_at = self
            .last_attempt
            .map_or(now, |last| last + self.refill_interval());
        let wait = free_at
            .saturating_sub(now)
            .max(affordable.min(starving_at.saturating_sub(now)));
        if !wait.is_zero() {
            return Err(whole_millis(wait));
        }
        self.buckets().for_each(Bucket::pay_for_attempt);
        let before = self.last_attempt.replace(now);
        Ok(Permit {
            taken_at: now,
            before,
            by_record: false,
        })
    }

    /// Time until an attempt caused only by records of the tenant's log may start; zero if it may now. These attempts
    /// get at most a quarter of the rate, and use the same buckets as all others.
    pub fn until_record_attempt(&mut self, now: Duration) -> Duration {
        self.buckets().for_each(|bucket| bucket.refill(now));
        let until = self.buckets().map(|bucket| bucket.until_record_affordable());
        let until = until.max().unwrap_or_default();
        if until.is_zero() {
            until
        } else {
            whole_millis(until)
        }
    }

    /// Marks the attempt of `permit` as caused by records alone.
    pub fn by_record(&mut self, permit: &mut Permit) {
        if !permit.by_record {
            permit.by_record = true;
            self.buckets().for_each(Bucket::pay_for_record);
        }
    }

    /// Returns the unused part of an attempt.
    #[expect(clippy::needless_pass_by_value, reason = "a permit goes back once")]
    pub fn refund(&mut self, now: Duration, permit: Permit, unused: Unused) {
        let Permit {
            taken_at,
            before,
            by_record,
        } = permit;
        let calls: &[CallKind] = match unused {
            Unused::Both => &[CallKind::Write, CallKind::Read],
            Unused::Write => &[CallKind::Write],
        };
        for call in calls {
            self.bucket(*call).refund(now);
            if by_record {
                self.bucket(*call).refund_record();
            }
        }
        if unused == Unused::Both && self.last_attempt == Some(taken_at) {
            self.last_attempt = before;
        }
    }

    /// Learns from the response to a call, of any status but 429, or from the lack of one (then with default headers).
    /// After a start and after a 429 the first response sets the estimate. Later headers only lower it, because other
    /// clients spend too and a response may be old. Our calls without a response count as not yet counted by the
    /// tenant.
    pub fn answered(&mut self, now: Duration, kind: CallKind, headers: &RateHeaders) {
        self.bucket(kind).answered(now, headers);
        if kind == CallKind::Write {
            let apart = self.scarcity.written(self.attempt_time());
            self.hold(now, apart);
        }
    }

    /// Whether the write after a read whose response had `headers` should wait as long as the profile may age: the read took
    /// the last call of a bucket that holds the calls of one attempt only, so no waiting before the read could leave one for the write.
    #[must_use]
    pub fn write_waits(&self, headers: &RateHeaders) -> bool {
        self.write.is_none() && headers.remaining == Some(0) && self.read.holds_one_attempt()
    }

    /// Whether a write may follow a read whose response had `headers`. It may not if the bucket that pays for both is
    /// empty: the write would be refused and the read wasted. All attempts are then held, longer each time, until the
    /// bucket has gained enough for both.
    pub fn write_may_follow(&mut self, now: Duration, headers: &RateHeaders) -> bool {
        if self.write_waits(headers) {
            self.scarcity.spaced(self.attempt_time());
            return true;
        }
        if self.write.is_some() || headers.remaining != Some(0) {
            return true;
        }
        if now < self.read.held_until {
            // Concurrent reads report the same empty bucket once.
            return false;
        }
        let Some(hold) = self
            .scarcity
            .nothing_left(self.attempt_time(), self.read.fill_time())
        else {
            return true;
        };
        self.hold(now, hold);
        false
    }

    /// Learns from a 429 and holds all attempts: as long as the headers ask within their caps, at least 1 s, 2 s, 4 s …
    /// 30 s after that many consecutive 429s. `unix_now_s` is the time that the reset is compared with.
    pub fn limited(&mut self, now: Duration, unix_now_s: i64, kind: CallKind, headers: &RateHeaders) {
        self.bucket(kind).limited(now, unix_now_s, headers);
        self.scarcity.refused();
        // The hold replaces the wait, so one attempt may start right after it.
        self.last_attempt = None;
    }

    /// Outside holds, at least one attempt is allowed in any period of this length: the time in which the emptiest
    /// bucket fills, at our rate.
    #[must_use]
    pub fn refill_interval(&self) -> Duration {
        let write = self.write.as_ref().map(Bucket::fill_time).unwrap_or_default();
        self.read.fill_time().max(write)
    }

    /// The time in which the calls of one attempt refill.
    #[must_use]
    pub fn attempt_time(&self) -> Duration {
        let write = self.write.as_ref().map(Bucket::attempt_time).unwrap_or_default();
        self.read.attempt_time().max(write)
    }

    fn hold(&mut self, now: Duration, hold: Duration) {
        if !hold.is_zero() {
            self.buckets()
                .for_each(|bucket| bucket.held_until = bucket.held_until.max(now + hold));
        }
    }

    fn bucket(&mut self, kind: CallKind) -> &mut Bucket {
        match (kind, &mut self.write) {
            (CallKind::Write, Some(write)) => write,
            _ => &mut self.read,
        }
    }

    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        std::iter::once(&mut self.read).chain(&mut self.write)
    }
}

/// Rounds up, so that a waiting caller is not early and does not spin.
fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
