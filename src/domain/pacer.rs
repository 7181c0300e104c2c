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

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Largest share that the reserve may be; the rest keeps the worker alive.
pub const MAX_RESERVE: f64 = 0.9;
/// Longest hold that `X-RateLimit-Reset` can ask for, as in Auth0's own SDKs.
pub const MAX_RESET_HOLD: Duration = Duration::from_mins(1);
/// Longest hold that `Retry-After` can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// Hold after the first 429 in a row; doubled with each further one.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// Longest hold that the number of 429s alone leads to.
const LONGEST_STRIKE_HOLD: Duration = Duration::from_secs(30);
/// Largest limit believed, also from a header; ten times the largest public plan.
const MAX_LIMIT: f64 = 500.0;
/// Slowest and fastest rate worked with, in calls a second: every wait has an end, and a length.
const MIN_RATE: f64 = 0.1;
const MAX_RATE: f64 = 10_000.0;
/// Forgives the rounding of sums of fractions of a call.
const EPSILON: f64 = 1e-6;

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

/// The tenant's limits on the users endpoints (Auth0 docs, rate-limit-configurations). Read from
/// `free`, `self-service`, `enterprise`, `enterprise-nonprod` or `BURST:PER_SECOND`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RatePlan {
    /// 2 calls at once, 2 a second.
    Free,
    /// Essentials and Professional: reads 40 at once and 500 a minute, writes 20 at once and 200 a minute.
    SelfService,
    /// Production on the public cloud: 50 at once, 16 a second.
    Enterprise,
    /// Everything but production on the public cloud: 10 at once, 2 a second.
    EnterpriseNonProd,
    /// One bucket for everything, such as a private cloud's.
    Custom {
        /// Calls at once.
        burst: u32,
        /// Calls a second.
        per_second: f64,
    },
}

/// Which of the two calls of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The GET.
    Read,
    /// The PATCH that may follow at once.
    Write,
}

/// Leave for one look: one read and one write, paid for. What is not used goes back by [`Pacer::refund`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    taken_at: Duration,
    /// When the look before this one was taken.
    before: Option<Duration>,
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
}

impl Pacer {
    /// Starts without knowing how full the buckets are: one look finds out. `reserve` is the share of the
    /// limit left for other clients, between 0 and [`MAX_RESERVE`].
    #[must_use]
    pub fn new(plan: RatePlan, reserve: f64, now: Duration) -> Self {
        // Not `clamp`: it would let a NaN through.
        let reserve = reserve.max(0.0).min(MAX_RESERVE);
        let (read, write) = plan.buckets();
        let look_cost = if write.is_some() { 1.0 } else { 2.0 };
        let bucket = |(burst, rate)| Bucket::new(burst, rate, look_cost, reserve, now);
        Self {
            read: bucket(read),
            write: write.map(bucket),
            last_look: None,
        }
    }

    /// Takes a read and a write together, because the write follows the read without waiting. Otherwise says
    /// how long to wait before asking again: at least a millisecond, at most the longer of [`MAX_RETRY_AFTER`]
    /// and [`Self::refill_interval`].
    pub fn take_look(&mut self, now: Duration) -> Result<Permit, Duration> {
        self.buckets().for_each(|bucket| bucket.refill(now));
        let held = self
            .buckets()
            .map(|bucket| bucket.held_until.saturating_sub(now))
            .max()
            .unwrap_or_default();
        if !held.is_zero() {
            return Err(whole_millis(held));
        }
        let affordable = self
            .buckets()
            .map(|bucket| bucket.until_affordable())
            .max()
            .unwrap_or_default();
        let starving_at = self.last_look.map_or(now, |last| last + self.refill_interval());
        let wait = affordable.min(starving_at.saturating_sub(now));
        if !wait.is_zero() {
            return Err(whole_millis(wait));
        }
        self.buckets().for_each(Bucket::pay_for_look);
        let before = self.last_look.replace(now);
        Ok(Permit {
            taken_at: now,
            before,
        })
    }

    /// Puts back what a look did not use.
    pub fn refund(&mut self, now: Duration, permit: Permit, unused: Unused) {
        self.bucket(Kind::Write).refund(now);
        if unused == Unused::Both {
            self.bucket(Kind::Read).refund(now);
            if self.last_look == Some(permit.taken_at) {
                self.last_look = permit.before;
            }
        }
    }

    /// Learns from the reply to a call, of any status but 429, or from the lack of one (then with default
    /// headers). Headers only ever lower the estimate: other clients spend too, and a reply may be old.
    pub fn answered(&mut self, now: Duration, kind: Kind, headers: &RateHeaders) {
        // In a shared bucket the write of the same look is still to come, and paid for.
        let to_come = if kind == Kind::Read && self.write.is_none() {
            1.0
        } else {
            0.0
        };
        self.bucket(kind).answered(now, to_come, headers);
    }

    /// Learns from a 429 and holds all looks: as long as the headers ask inside their caps, at least 1 s, 2 s,
    /// 4 s … 30 s after that many 429s in a row. `unix_now_s` is what the reset is measured against.
    pub fn limited(&mut self, now: Duration, unix_now_s: i64, kind: Kind, headers: &RateHeaders) {
        self.bucket(kind).limited(now, unix_now_s, headers);
    }

    /// Outside holds, at least one look is allowed in any span of this length: the time in which the emptiest
    /// bucket fills, at the rate that is ours.
    #[must_use]
    pub fn refill_interval(&self) -> Duration {
        let write = self.write.as_ref().map(Bucket::fill_time).unwrap_or_default();
        self.read.fill_time().max(write)
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

/// One bucket as we picture it.
#[derive(Debug)]
struct Bucket {
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
    /// Whether a header has confirmed `level`; until then it is zero plus what came in.
    confirmed: bool,
    /// 429s in a row.
    strikes: u32,
    held_until: Duration,
}

impl Bucket {
    fn new(burst: f64, rate: f64, look_cost: f64, reserve: f64, now: Duration) -> Self {
        let burst = burst.clamp(look_cost, MAX_LIMIT);
        Self {
            plan_burst: burst,
            plan_rate: rate.max(MIN_RATE).min(MAX_RATE),
            look_cost,
            reserve,
            limit: burst,
            level: 0.0,
            as_of: now,
            confirmed: false,
            strikes: 0,
            held_until: Duration::ZERO,
        }
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

    fn fill_time(&self) -> Duration {
        Duration::from_secs_f64(self.limit / self.rate())
    }

    fn until_affordable(&self) -> Duration {
        let missing = self.kept() + self.look_cost - self.level;
        if missing <= EPSILON {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(missing / self.rate())
        }
    }

    /// Brings `level` up to `now`; nothing comes in while held, so that a hold ends with a careful start.
    fn refill(&mut self, now: Duration) {
        let since = now.saturating_sub(self.as_of.max(self.held_until)).as_secs_f64();
        self.level = (self.level + since * self.rate()).min(self.limit);
        self.as_of = self.as_of.max(now);
    }

    /// A look that is taken because there was none for long may find less than it costs: that is owed.
    fn pay_for_look(&mut self) {
        self.level = (self.level - self.look_cost).max(-self.look_cost);
    }

    fn refund(&mut self, now: Duration) {
        self.refill(now);
        self.level = (self.level + 1.0).min(self.limit);
    }

    fn answered(&mut self, now: Duration, to_come: f64, headers: &RateHeaders) {
        self.refill(now);
        self.adopt_limit(headers);
        let held = now < self.held_until;
        if let Some(remaining) = headers.remaining {
            let seen = (f64::from(remaining) - to_come).clamp(0.0, self.limit);
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

    fn limited(&mut self, now: Duration, unix_now_s: i64, headers: &RateHeaders) {
        self.refill(now);
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

    fn adopt_limit(&mut self, headers: &RateHeaders) {
        if let Some(limit) = headers.limit {
            self.limit = f64::from(limit).clamp(self.look_cost, MAX_LIMIT);
            self.level = self.level.min(self.limit);
        }
    }
}

impl RatePlan {
    /// Burst and calls a second: of everything, or of reads and of writes.
    fn buckets(self) -> ((f64, f64), Option<(f64, f64)>) {
        match self {
            Self::Free => ((2.0, 2.0), None),
            Self::SelfService => ((40.0, 500.0 / 60.0), Some((20.0, 200.0 / 60.0))),
            Self::Enterprise => ((50.0, 16.0), None),
            Self::EnterpriseNonProd => ((10.0, 2.0), None),
            Self::Custom { burst, per_second } => ((f64::from(burst), per_second), None),
        }
    }
}

impl FromStr for RatePlan {
    type Err = &'static str;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected free, self-service, enterprise, enterprise-nonprod, or BURST:PER_SECOND \
                                such as 50:50";
        match raw {
            "free" => Ok(Self::Free),
            "self-service" => Ok(Self::SelfService),
            "enterprise" => Ok(Self::Enterprise),
            "enterprise-nonprod" => Ok(Self::EnterpriseNonProd),
            custom => {
                let (burst, per_second) = custom.split_once(':').ok_or(EXPECTED)?;
                let burst: u32 = burst.parse().map_err(|_| EXPECTED)?;
                let per_second: f64 = per_second.parse().map_err(|_| EXPECTED)?;
                // One look is two calls; the rest is what the pacer can work with.
                let usable = (2.0..=MAX_LIMIT).contains(&f64::from(burst))
                    && (MIN_RATE..=MAX_RATE).contains(&per_second);
                if usable {
                    Ok(Self::Custom { burst, per_second })
                } else {
                    Err(EXPECTED)
                }
            }
        }
    }
}

impl fmt::Display for RatePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::SelfService => f.write_str("self-service"),
            Self::Enterprise => f.write_str("enterprise"),
            Self::EnterpriseNonProd => f.write_str("enterprise-nonprod"),
            Self::Custom { burst, per_second } => write!(f, "{burst}:{per_second}"),
        }
    }
}

/// Rounds up: one who waits this long does not come too early, and nobody spins.
fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
