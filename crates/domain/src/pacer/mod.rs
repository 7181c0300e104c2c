//! The budget of calls to the tenant.
//!
//! Owns one worker's picture of the tenant's token buckets: filled by the plan, corrected by the headers of
//! every reply. Must never trust a header further than the plan goes (it may lie, be missing, or come from a
//! clock that is off), never wait without an end, and never starve: what looks empty for ever is tried once a
//! refill.
//!
//! A bucket holds at most its *limit* of calls and gains them steadily (Auth0 docs, rate-limit-policy). It
//! belongs to all clients of the tenant, so a *reserve* is left in it for the others. That works by level: while
//! nobody else calls, the whole rate is used. A bucket too small for that, such as the free plan's two calls,
//! which one look empties, is shared by rate instead.

mod bucket;
mod rate_plan;
mod scarcity;

use std::time::Duration;

use bucket::Bucket;
pub use bucket::{MAX_RESET_HOLD, MAX_RETRY_AFTER};
pub use rate_plan::RatePlan;
use scarcity::Scarcity;

/// Largest share that the reserve may be; the rest keeps the worker alive.
pub const MAX_RESERVE: f64 = 0.9;

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

/// Which of the two calls of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The GET.
    Read,
    /// The PATCH that may follow at once.
    Write,
}

/// Leave for one look: one read and one write, paid for. Each of the two ends with [`Pacer::answered`] or
/// [`Pacer::limited`], or goes back unused by [`Pacer::refund`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    taken_at: Duration,
    /// When the look before this one was taken.
    before: Option<Duration>,
    /// It is for a look that records alone asked for.
    by_record: bool,
}

/// What of a permit was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// No call was made.
    Both,
    /// The read was made, no write was needed.
    Write,
}

/// Says when the next look may be taken. All times `now` are of one monotonic clock.
#[derive(Debug)]
pub struct Pacer {
    /// Pays for reads, and for writes too where the plan has one bucket.
    read: Bucket,
    write: Option<Bucket>,
    last_look: Option<Duration>,
    scarcity: Scarcity,
}

impl Permit {
    /// Whether the look is one that records alone asked for.
    #[must_use]
    pub fn is_by_record(&self) -> bool {
        self.by_record
    }
}

impl Pacer {
    /// Starts without knowing how full the buckets are: one look finds out. `reserve` is the share of the
    /// limit left for other clients, between 0 and [`MAX_RESERVE`].
    #[must_use]
    pub fn new(plan: RatePlan, reserve: f64, now: Duration) -> Self {
        // `max` once more, because it drops a NaN.
        let reserve = reserve.clamp(0.0, MAX_RESERVE).max(0.0);
        let (read, write) = plan.buckets();
        let look_cost = if write.is_some() { 1.0 } else { 2.0 };
        let bucket = |(burst, rate)| Bucket::new(burst, rate, look_cost, reserve, now);
        Self {
            read: bucket(read),
            write: write.map(bucket),
            last_look: None,
            scarcity: Scarcity::default(),
        }
    }

    /// From `now` on another share is left for other clients.
    pub fn set_reserve(&mut self, now: Duration, reserve: f64) {
        let reserve = reserve.clamp(0.0, MAX_RESERVE).max(0.0);
        for bucket in self.buckets() {
            bucket.refill(now);
            bucket.set_reserve(reserve);
        }
    }

    /// Takes a read and a write together, because the write follows the read without waiting. Otherwise says
    /// how long to wait before asking again: at least a millisecond, at most the longer of [`MAX_RETRY_AFTER`]
    /// and [`Self::refill_interval`].
    pub fn take_look(&mut self, now: Duration) -> Result<Permit, Duration> {
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
        let starving_at = self.last_look.map_or(now, |last| last + self.refill_interval());
        let wait = free_at
            .saturating_sub(now)
            .max(affordable.min(starving_at.saturating_sub(now)));
        if !wait.is_zero() {
            return Err(whole_millis(wait));
        }
        self.buckets().for_each(Bucket::pay_for_look);
        let before = self.last_look.replace(now);
        Ok(Permit {
            taken_at: now,
            before,
            by_record: false,
        })
    }

    /// How long until a look may be taken that nothing but records of the tenant's log asked for; zero when it may be now. Those
    /// looks get a quarter of the rate at most, and come out of the same buckets as all others.
    pub fn until_record_look(&mut self, now: Duration) -> Duration {
        self.buckets().for_each(|bucket| bucket.refill(now));
        let until = self.buckets().map(|bucket| bucket.until_record_affordable());
        let until = until.max().unwrap_or_default();
        if until.is_zero() {
            until
        } else {
            whole_millis(until)
        }
    }

    /// The look that `permit` was taken for is one that records alone asked for.
    pub fn by_record(&mut self, permit: &mut Permit) {
        if !permit.by_record {
            permit.by_record = true;
            self.buckets().for_each(Bucket::pay_for_record);
        }
    }

    /// Puts back what a look did not use.
    #[expect(clippy::needless_pass_by_value, reason = "a permit goes back once")]
    pub fn refund(&mut self, now: Duration, permit: Permit, unused: Unused) {
        let Permit {
            taken_at,
            before,
            by_record,
        } = permit;
        let calls: &[Kind] = match unused {
            Unused::Both => &[Kind::Write, Kind::Read],
            Unused::Write => &[Kind::Write],
        };
        for call in calls {
            self.bucket(*call).refund(now);
            if by_record {
                self.bucket(*call).refund_record();
            }
        }
        if unused == Unused::Both && self.last_look == Some(taken_at) {
            self.last_look = before;
        }
    }

    /// Learns from the reply to a call, of any status but 429, or from the lack of one (then with default
    /// headers). After a start and after a 429 the first reply sets the estimate; from then on headers only lower
    /// it, because other clients spend too and a reply may be old. Calls of ours without a reply count as not yet
    /// seen by the tenant.
    pub fn answered(&mut self, now: Duration, kind: Kind, headers: &RateHeaders) {
        self.bucket(kind).answered(now, headers);
        if kind == Kind::Write {
            let apart = self.scarcity.written(self.look_time());
            self.hold(now, apart);
        }
    }

    /// Whether a write may follow a read that was answered with `headers`. It may not when the bucket that pays
    /// for both has nothing left: the write would be refused, and the read was in vain. Then all looks are held,
    /// longer from time to time, until the bucket has gained enough for both.
    pub fn write_may_follow(&mut self, now: Duration, headers: &RateHeaders) -> bool {
        if self.write.is_some() || headers.remaining != Some(0) {
            return true;
        }
        if now < self.read.held_until {
            // Reads that were on their way together say it once.
            return false;
        }
        let Some(hold) = self
            .scarcity
            .nothing_left(self.look_time(), self.read.fill_time())
        else {
            return true;
        };
        self.hold(now, hold);
        false
    }

    /// Learns from a 429 and holds all looks: as long as the headers ask inside their caps, at least 1 s, 2 s,
    /// 4 s … 30 s after that many 429s in a row. `unix_now_s` is what the reset is measured against.
    pub fn limited(&mut self, now: Duration, unix_now_s: i64, kind: Kind, headers: &RateHeaders) {
        self.bucket(kind).limited(now, unix_now_s, headers);
        self.scarcity.refused();
        // The hold was the wait: after it one look may find out at once.
        self.last_look = None;
    }

    /// Outside holds, at least one look is allowed in any span of this length: the time in which the emptiest
    /// bucket fills, at the rate that is ours.
    #[must_use]
    pub fn refill_interval(&self) -> Duration {
        let write = self.write.as_ref().map(Bucket::fill_time).unwrap_or_default();
        self.read.fill_time().max(write)
    }

    /// The time in which the calls of one look come in.
    fn look_time(&self) -> Duration {
        self.read.look_time()
    }

    fn hold(&mut self, now: Duration, hold: Duration) {
        if !hold.is_zero() {
            self.buckets()
                .for_each(|bucket| bucket.held_until = bucket.held_until.max(now + hold));
        }
    }

    fn bucket(&mut self, kind: Kind) -> &mut Bucket {
        match (kind, &mut self.write) {
            (Kind::Write, Some(write)) => write,
            _ => &mut self.read,
        }
    }

    fn buckets(&mut self) -> impl Iterator<Item = &mut Bucket> {
        std::iter::once(&mut self.read).chain(&mut self.write)
    }
}

/// Rounds up: one who waits this long does not come too early, and nobody spins.
fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
