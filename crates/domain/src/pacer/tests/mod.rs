//! The pacer against a simulated tenant.
//!
//! Owns a tenant's bucket, its other client and its wrong headers, with latencies, in simulated time. Must never rely
//! on the pacer's own state: the tenant counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::bucket::EPSILON;
use super::*;

mod records;
mod responses;
mod shares;

const UNIX_0: i64 = 1_795_000_000;
const HOUR: f64 = 3600.0;
/// How long a write waits that finds no call left, in seconds.
const WAIT: f64 = 1.6;

/// A token bucket as Auth0 describes it.
struct TenantBucket {
    limit: f64,
    rate: f64,
    level: f64,
    as_of: f64,
}

impl TenantBucket {
    fn new((limit, rate): (f64, f64), level: f64) -> Self {
        Self {
            limit,
            rate,
            level: level.min(limit),
            as_of: 0.0,
        }
    }

    /// Takes one call at `now`; `None` is a 429.
    fn call(&mut self, now: f64) -> Option<RateHeaders> {
        self.level = (self.level + (now - self.as_of) * self.rate).min(self.limit);
        self.as_of = now;
        if self.level < 1.0 - EPSILON {
            return None;
        }
        self.level -= 1.0;
        let full_at = now + (self.limit - self.level) / self.rate;
        Some(RateHeaders {
            limit: Some(whole(self.limit)),
            remaining: Some(whole(self.level + EPSILON)),
            reset_unix_s: Some(UNIX_0 + i64::from(whole(full_at)) + 1),
            retry_after: None,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and positive"
)]
fn whole(number: f64) -> u32 {
    number as u32
}

#[expect(clippy::cast_possible_truncation, reason = "an hour of seconds")]
fn unix(now: f64) -> i64 {
    UNIX_0 + now as i64
}

/// xorshift64*, for latencies and arrivals.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Events of the simulated world; times are in nanoseconds, so that they are ordered.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An idle task of the worker requests an attempt.
    Ask,
    /// A call reaches the tenant.
    Arrives(usize, bool),
    /// The response reaches the worker.
    Replied(usize, bool, bool),
    /// The other client calls.
    Other,
}

/// One run: the worker's tasks attempt users as fast as the pacer permits.
struct World {
    plan: RatePlan,
    reserve: f64,
    hands: usize,
    /// Time at which work begins, in seconds.
    idle: f64,
    /// Longest latency in each direction, in seconds.
    latency: f64,
    /// Initial level of the tenant's buckets, as a share.
    full: f64,
    /// Share of attempts that need no write.
    up_to_date: f64,
    /// Calls per second of the other client, and the number that it saves up.
    other: (f64, f64),
    seed: u64,
}

/// Counts of the tenant.
#[derive(Debug, Default)]
struct Counted {
    reads: u32,
    writes: u32,
    limited: u32,
    other: u32,
    other_limited: u32,
    /// Lowest level after the first ten seconds, of the bucket that pays for writes.
    lowest: f64,
    longest_pause: f64,
    questions: u32,
}

impl Counted {
    fn call(&mut self, is_write: bool, limited: bool) {
        if is_write {
            self.writes += 1;
        } else {
            self.reads += 1;
        }
        self.limited += u32::from(limited);
    }
}

/// Another client of the tenant.
struct OtherClient {
    /// Calls per second that it saves up, and the most that it saves.
    rate: f64,
    burst: f64,
    saved: f64,
    as_of: f64,
}

impl OtherClient {
    fn new((rate, burst): (f64, f64)) -> Self {
        let (saved, as_of) = (burst, 0.0);
        Self {
            rate,
            burst,
            saved,
            as_of,
        }
    }

    /// Number of calls that it makes now, if it `spends` what it has saved up.
    fn calls(&mut self, now: f64, spends: bool) -> u32 {
        self.saved = (self.saved + (now - self.as_of) * self.rate).min(self.burst);
        self.as_of = now;
        let mut calls = 0;
        while spends && self.saved >= 1.0 {
            self.saved -= 1.0;
            calls += 1;
        }
        calls
    }
}

impl World {
    fn new(plan: RatePlan, reserve: f64, seed: u64) -> Self {
        let (hands, idle, latency, full, up_to_date, other) = (1, 0.0, 0.0, 1.0, 0.0, (0.0, 0.0));
        Self {
            plan,
            reserve,
            hands,
            idle,
            latency,
            full,
            up_to_date,
            other,
            seed: seed | 1,
        }
    }

    fn run(&self, seconds: f64) -> Counted {
        let mut dice = Dice(self.seed);
        let (read, write) = self.plan.buckets();
        let split = write.is_some();
        let mut tenant = vec![TenantBucket::new(read, read.0 * self.full)];
        tenant.extend(write.map(|write| TenantBucket::new(write, write.0 * self.full)));
        let last = tenant.len() - 1;
        let mut pacer = Pacer::new(self.plan, self.reserve, Duration::ZERO);
        let mut counted = Counted {
            lowest: f64::INFINITY,
            ..Counted::default()
        };
        let mut calls: Vec<(Option<Permit>, Option<RateHeaders>)> = Vec::new();
        let (mut other, mut last_attempt) = (OtherClient::new(self.other), 0.0_f64);

        let mut queue = BinaryHeap::new();
        let at = |queue: &mut BinaryHeap<_>, time: f64, event| {
            queue.push(Reverse((Duration::from_secs_f64(time), event)));
        };
        (0..self.hands).for_each(|_| at(&mut queue, self.idle, Event::Ask));
        if self.other.0 > 0.0 {
            at(&mut queue, 0.0, Event::Other);
        }
        while let Some(Reverse((time, event))) = queue.pop() {
            let now = time.as_secs_f64();
            if now > seconds {
                break;
            }
            match event {
                Event::Ask => {
                    counted.questions += 1;
                    match pacer.take_attempt(time) {
                        Ok(permit) => {
                            counted.longest_pause = counted.longest_pause.max(now - last_attempt);
                            last_attempt = now;
                            calls.push((Some(permit), None));
                            let arrival = now + dice.roll() * self.latency;
                            at(&mut queue, arrival, Event::Arrives(calls.len() - 1, false));
                        }
                        Err(wait) => at(&mut queue, now + wait.as_secs_f64(), Event::Ask),
                    }
                }
                Event::Arrives(call, is_write) => {
                    let bucket = usize::from(is_write && split);
                    let headers = tenant[bucket].call(now);
                    calls[call].1 = headers;
                    counted.call(is_write, headers.is_none());
                    if now > 10.0 && bucket == last {
                        counted.lowest = counted.lowest.min(tenant[bucket].level);
                    }
                    at(
                        &mut queue,
                        now + dice.roll() * self.latency,
                        Event::Replied(call, is_write, headers.is_some()),
                    );
                }
                Event::Replied(call, is_write, good) => {
                    let kind = if is_write { CallKind::Write } else { CallKind::Read };
                    let headers = calls[call].1.take();
                    match headers {
                        Some(headers) => pacer.answered(time, kind, &headers),
                        None => pacer.limited(time, unix(now), kind, &RateHeaders::default()),
                    }
                    let follows = good && !is_write && dice.roll() >= self.up_to_date;
                    let headers = headers.unwrap_or_default();
                    let wait = if pacer.write_waits(&headers) { WAIT } else { 0.0 };
                    if follows && pacer.write_may_follow(time, &headers) {
                        let arrival = now + wait + dice.roll() * self.latency;
                        at(&mut queue, arrival, Event::Arrives(call, true));
                    } else {
                        let permit = calls[call].0.take().expect("an attempt ends once");
                        if !is_write {
                            pacer.refund(time, permit, Unused::Write);
                        }
                        at(&mut queue, now, Event::Ask);
                    }
                }
                Event::Other => {
                    // It calls in bursts: mostly nothing, sometimes all that it has saved up.
                    for _ in 0..other.calls(now, dice.roll() < 0.5) {
                        counted.other += 1;
                        counted.other_limited += u32::from(tenant[last].call(now).is_none());
                    }
                    at(&mut queue, now + dice.roll(), Event::Other);
                }
            }
        }
        counted
    }

    /// Calls that the first empty bucket would have paid for: those of one attempt, and of all attempts.
    fn allowed_attempts(&self, seconds: f64) -> f64 {
        let (read, write) = self.plan.buckets();
        match write {
            Some(write) => (write.0 + write.1 * seconds).min(read.0 + read.1 * seconds),
            None => read.0.midpoint(read.1 * seconds),
        }
    }
}

const PLANS: [RatePlan; 5] = [
    RatePlan::Free,
    RatePlan::SelfService,
    RatePlan::Enterprise,
    RatePlan::EnterpriseNonProd,
    RatePlan::Custom {
        burst: 50,
        per_second: 50.0,
    },
];

#[test]
fn what_was_not_used_goes_back() {
    let mut pacer = Pacer::new(RatePlan::EnterpriseNonProd, 0.0, Duration::ZERO);
    for _ in 0..1000 {
        let permit = pacer
            .take_attempt(Duration::ZERO)
            .expect("attempts without a call cost nothing");
        pacer.refund(Duration::ZERO, permit, Unused::Both);
    }
}
