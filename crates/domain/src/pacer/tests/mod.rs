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

const UNIX_0: i64 = 1_795_000_000;
const HOUR: f64 = 3600.0;

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
    in_step: f64,
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

impl World {
    fn new(plan: RatePlan, reserve: f64, seed: u64) -> Self {
        let (hands, idle, latency, full, in_step, other) = (1, 0.0, 0.0, 1.0, 0.0, (0.0, 0.0));
        Self {
            plan,
            reserve,
            hands,
            idle,
            latency,
            full,
            in_step,
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
        let (mut other_saved, mut other_as_of, mut last_look) = (self.other.1, 0.0, 0.0_f64);

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
                    match pacer.take_look(time) {
                        Ok(permit) => {
                            counted.longest_pause = counted.longest_pause.max(now - last_look);
                            last_look = now;
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
                    *(if is_write {
                        &mut counted.writes
                    } else {
                        &mut counted.reads
                    }) += 1;
                    counted.limited += u32::from(headers.is_none());
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
                    let kind = if is_write { Kind::Write } else { Kind::Read };
                    let headers = calls[call].1.take();
                    match headers {
                        Some(headers) => pacer.answered(time, kind, &headers),
                        None => pacer.limited(time, unix(now), kind, &RateHeaders::default()),
                    }
                    let follows = good && !is_write && dice.roll() >= self.in_step;
                    if follows && pacer.write_may_follow(time, &headers.unwrap_or_default()) {
                        let arrival = now + dice.roll() * self.latency;
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
                    let (rate, burst) = self.other;
                    other_saved = (other_saved + (now - other_as_of) * rate).min(burst);
                    other_as_of = now;
                    // It calls in bursts: mostly nothing, sometimes all that it has saved up.
                    if dice.roll() < 0.5 {
                        while other_saved >= 1.0 {
                            other_saved -= 1.0;
                            counted.other += 1;
                            counted.other_limited += u32::from(tenant[last].call(now).is_none());
                        }
                    }
                    at(&mut queue, now + dice.roll(), Event::Other);
                }
            }
        }
        counted
    }

    /// Calls that the first empty bucket would have paid for: those of one attempt, and of all attempts.
    fn allowed_looks(&self, seconds: f64) -> f64 {
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
fn alone_and_without_a_reserve_the_whole_rate_is_used_and_nothing_is_refused() {
    for plan in PLANS {
        let world = World::new(plan, 0.0, 7);
        let counted = world.run(HOUR);
        let share = f64::from(counted.writes) / world.allowed_looks(HOUR);
        assert!(
            (0.98..=1.0 + 1e-9).contains(&share),
            "{plan}: {share} {counted:?}"
        );
        assert_eq!(counted.limited, 0, "{plan}");
    }
}

#[test]
fn a_burst_that_has_been_saved_up_is_used() {
    // 500 attempts on the enterprise plan: 50 calls at once and 950 at 16 per second.
    let counted = World {
        hands: 4,
        latency: 0.02,
        ..World::new(RatePlan::Enterprise, 0.0, 3)
    }
    .run(950.0 / 16.0);
    assert!(counted.reads + counted.writes >= 980, "{counted:?}");
    assert_eq!(counted.limited, 0);
}

#[test]
fn on_the_free_plan_the_rate_is_shared() {
    let counted = World::new(RatePlan::Free, 0.5, 7).run(HOUR);
    assert!((1790..=1801).contains(&counted.writes), "{counted:?}");
    // An attempt that needs no write costs one call, not two.
    let counted = World {
        in_step: 1.0,
        ..World::new(RatePlan::Free, 0.5, 7)
    }
    .run(HOUR);
    assert!((3580..=3602).contains(&counted.reads), "{counted:?}");
}

/// The tenant's counts, and the share of its rate that both clients used.
fn beside_another_in_its_half(plan: RatePlan, latency: f64, seed: u64, seconds: f64) -> (Counted, f64) {
    let (limit, rate) = plan.buckets().0;
    let other = (rate * 0.45, limit * 0.3);
    let world = World {
        hands: 8,
        latency,
        other,
        ..World::new(plan, 0.5, seed)
    };
    let counted = world.run(seconds);
    let used = f64::from(counted.reads + counted.writes + counted.other) / (rate * seconds);
    (counted, used)
}

#[test]
fn another_client_inside_its_half_has_a_quiet_hour() {
    let (counted, used) = beside_another_in_its_half(RatePlan::Enterprise, 0.05, 11, HOUR);
    assert_eq!((counted.other_limited, counted.limited), (0, 0), "{counted:?}");
    assert!(counted.other > 20_000 && used > 0.98, "{used} {counted:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn latency_costs_little_and_brings_no_429(
        plan in prop::sample::select(&PLANS[1..]), full in 0.2_f64..1.0, latency in 0.0_f64..0.15, in_step in 0.0_f64..0.5, idle in 0.0_f64..5.0, seed: u64,
    ) {
        let world = World { hands: 16, idle, latency, full, in_step, ..World::new(plan, 0.0, seed) };
        let counted = world.run(600.0);
        prop_assert_eq!(counted.limited, 0, "{:?}", counted);
        let split = plan == RatePlan::SelfService;
        let calls = if split { counted.writes } else { counted.reads + counted.writes };
        let (read, write) = plan.buckets();
        let allowed = write.unwrap_or(read).1 * 600.0;
        // With two buckets the one for reads may be the limit.
        let narrow = if split { f64::from(counted.reads) / (read.1 * 600.0) } else { 0.0 };
        prop_assert!((f64::from(calls) / allowed).max(narrow) >= 0.98, "{:?}", counted);
    }

    #[test]
    fn the_reserve_stays_in_the_bucket(
        plan in prop::sample::select(&PLANS[1..]), reserve in 0.0_f64..0.8, full in 0.0_f64..1.0, latency in 0.0_f64..0.1, seed: u64,
    ) {
        let world = World { hands: 4, latency, full, ..World::new(plan, reserve, seed) };
        let counted = world.run(300.0);
        let (read, write) = plan.buckets();
        let (limit, rate) = write.unwrap_or(read);
        let look = if write.is_some() { 1.0 } else { 2.0 };
        // Calls in flight refill with that delay for the tenant.
        let slack = look + rate * latency * 2.0 + 1.0;
        let kept = if limit - look < reserve * limit { 0.0 } else { reserve * limit };
        prop_assert!(counted.lowest >= kept - slack, "{:?}", counted);
    }

    #[test]
    fn another_client_inside_its_half_is_never_refused(
        plan in prop::sample::select(&PLANS[2..]), latency in 0.0_f64..0.1, seed: u64,
    ) {
        let (counted, used) = beside_another_in_its_half(plan, latency, seed, 300.0);
        prop_assert_eq!((counted.other_limited, counted.limited), (0, 0), "{:?}", counted);
        prop_assert!(used >= 0.95, "{} {:?}", used, counted);
    }

    #[test]
    fn another_client_that_takes_all_it_gets_does_not_starve_us(plan in prop::sample::select(&PLANS[..]), seed: u64) {
        let (limit, rate) = plan.buckets().1.unwrap_or(plan.buckets().0);
        let world = World { other: (rate * 2.0, limit), full: 0.0, ..World::new(plan, 0.5, seed) };
        let counted = world.run(900.0);
        // Consecutive 429s hold for up to 30 s each; two refills are at most 12 s.
        prop_assert!(counted.longest_pause <= 45.0, "{:?}", counted);
        prop_assert!(counted.reads >= 15, "{:?}", counted);
        prop_assert!(counted.questions <= counted.reads * 20, "{:?}", counted);
    }
}

#[test]
fn a_bucket_that_others_use_up_is_left_alone_until_it_holds_a_look() {
    for (plan, theirs) in [(RatePlan::EnterpriseNonProd, 1.8), (RatePlan::Free, 1.8)] {
        let world = World {
            other: (theirs, 3.0),
            full: 0.0,
            ..World::new(plan, 0.0, 5)
        };
        let counted = world.run(HOUR);
        // Two of five calls were refused before reads reported the level.
        let calls = counted.reads + counted.writes;
        assert!(counted.limited * 5 <= calls, "{plan}: {counted:?}");
        let left = (plan.buckets().0.1 - theirs) * HOUR / 2.0;
        assert!(f64::from(counted.writes) >= left * 0.7, "{plan}: {counted:?}");
    }
}

fn any_headers() -> impl Strategy<Value = RateHeaders> {
    let number = || prop::option::of(prop_oneof![Just(0), 1_u32..100, any::<u32>()]);
    let reset = prop_oneof![-90_i64..90, Just(-31_536_000), Just(31_536_000), any::<i64>()];
    let wait = prop_oneof![0_u64..100, any::<u64>()].prop_map(Duration::from_secs);
    (
        number(),
        number(),
        prop::option::of(reset),
        prop::option::of(wait),
    )
        .prop_map(|(limit, remaining, reset, wait)| {
            let reset_unix_s = reset.map(|reset| UNIX_0.saturating_add(reset));
            RateHeaders {
                limit,
                remaining,
                reset_unix_s,
                retry_after: wait,
            }
        })
}

fn any_plan() -> impl Strategy<Value = RatePlan> {
    let custom =
        (any::<u32>(), any::<f64>()).prop_map(|(burst, per_second)| RatePlan::Custom { burst, per_second });
    prop_oneof![4 => prop::sample::select(&PLANS[..]), 1 => custom]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// For any response of the tenant, every wait is finite, within its cap, not zero, and sufficient.
    #[test]
    fn lies_do_no_harm(
        plan in any_plan(),
        reserve in any::<f64>(),
        replies in prop::collection::vec((any_headers(), prop::bool::weighted(0.2), any::<bool>(), 0_u64..5_000), 1..200),
    ) {
        let mut now = Duration::ZERO;
        let mut pacer = Pacer::new(plan, reserve, now);
        for (headers, limited, is_write, took) in replies {
            if let Err(wait) = pacer.take_look(now) {
                let longest = MAX_RETRY_AFTER.max(pacer.refill_interval()) + Duration::from_millis(1);
                prop_assert!(wait >= Duration::from_millis(1) && wait <= longest, "{:?}", wait);
                now += wait;
                let again = pacer.take_look(now);
                prop_assert!(again.is_ok(), "waits {:?} and then {:?}", wait, again);
            }
            now += Duration::from_millis(took);
            let kind = if is_write { Kind::Write } else { Kind::Read };
            if limited {
                pacer.limited(now, UNIX_0, kind, &headers);
            } else {
                pacer.answered(now, kind, &headers);
            }
        }
    }

    /// Without a 429 there is at least one attempt per refill, whatever level the responses report.
    #[test]
    fn what_looks_empty_for_ever_is_still_tried_once_a_refill(plan in prop::sample::select(&PLANS[..]), reserve in 0.0_f64..1.0, remaining in 0_u32..2) {
        let mut now = Duration::ZERO;
        let mut pacer = Pacer::new(plan, reserve, now);
        let headers = RateHeaders { remaining: Some(remaining), reset_unix_s: Some(UNIX_0 + 31_536_000), ..RateHeaders::default() };
        let interval = pacer.refill_interval();
        let mut looks = 0_u32;
        while now < Duration::from_hours(1) {
            match pacer.take_look(now) {
                Ok(_) => looks += 1,
                Err(wait) => now += wait,
            }
            pacer.answered(now, Kind::Read, &headers);
            pacer.answered(now, Kind::Write, &headers);
        }
        prop_assert!(f64::from(looks) >= (HOUR / interval.as_secs_f64()).floor() * 0.99, "{} looks", looks);
    }
}

/// A pacer before its first call, and the hold after consecutive 429s with `headers`.
fn holds(headers: &RateHeaders, count: usize) -> Vec<f64> {
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.5, Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut held = Vec::new();
    for _ in 0..count {
        if let Err(wait) = pacer.take_look(now) {
            now += wait;
            assert!(pacer.take_look(now).is_ok());
        }
        pacer.limited(now, UNIX_0, Kind::Read, headers);
        held.push(pacer.take_look(now).expect_err("held after a 429").as_secs_f64());
    }
    held
}

#[test]
fn a_429_holds_as_long_as_it_asks_inside_the_caps() {
    let none = RateHeaders::default();
    assert_eq!(holds(&none, 7), [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    let reset = |ahead: i64| RateHeaders {
        reset_unix_s: Some(UNIX_0.saturating_add(ahead)),
        ..none
    };
    assert_eq!(holds(&reset(5), 4), [5.0, 5.0, 5.0, 8.0]);
    assert_eq!(holds(&reset(-31_536_000), 2), [1.0, 2.0]);
    assert_eq!(holds(&reset(31_536_000), 2), [60.0, 60.0]);
    assert_eq!(holds(&reset(i64::MAX), 1), [60.0]);
    let after = |seconds| RateHeaders {
        retry_after: Some(Duration::from_secs(seconds)),
        ..reset(5)
    };
    assert_eq!(holds(&after(90), 1), [90.0]);
    assert_eq!(holds(&after(0), 1), [5.0]);
    assert_eq!(holds(&after(u64::MAX), 1), [3600.0]);
}

#[test]
fn an_hour_of_429s_is_asked_twice_a_minute_at_most_and_ends_with_the_first_answer() {
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.5, Duration::ZERO);
    let (mut now, mut calls) = (Duration::ZERO, 0);
    while now < Duration::from_hours(1) {
        match pacer.take_look(now) {
            Ok(permit) => {
                calls += 1;
                pacer.limited(now, UNIX_0, Kind::Read, &RateHeaders::default());
                pacer.refund(now, permit, Unused::Write);
            }
            Err(wait) => now += wait,
        }
    }
    assert!((100..=126).contains(&calls), "{calls}");
    let full = RateHeaders {
        limit: Some(50),
        remaining: Some(49),
        ..RateHeaders::default()
    };
    assert!(pacer.take_look(now).is_ok());
    pacer.answered(now, Kind::Read, &full);
    assert!(pacer.take_look(now).is_ok(), "a header reported a full bucket");
    pacer.limited(now, UNIX_0, Kind::Read, &RateHeaders::default());
    assert_eq!(
        pacer.take_look(now).unwrap_err(),
        Duration::from_secs(1),
        "the 429s no longer count"
    );
}

#[test]
fn at_the_start_one_look_finds_out_how_full_the_bucket_is() {
    let start = |remaining| {
        let mut pacer = Pacer::new(RatePlan::Enterprise, 0.5, Duration::ZERO);
        assert!(pacer.take_look(Duration::ZERO).is_ok());
        assert!(
            pacer.take_look(Duration::ZERO).is_err(),
            "one attempt until its response"
        );
        let headers = RateHeaders {
            limit: Some(50),
            remaining,
            ..RateHeaders::default()
        };
        pacer.answered(Duration::ZERO, Kind::Read, &headers);
        (0..100)
            .take_while(|_| pacer.take_look(Duration::ZERO).is_ok())
            .count()
    };
    // 49 less the following write is 48; 25 are kept.
    assert_eq!(
        (
            start(Some(49)),
            start(Some(25)),
            start(Some(u32::MAX)),
            start(None)
        ),
        (11, 0, 12, 0)
    );
}

#[test]
fn the_first_reply_does_not_forget_the_calls_under_way() {
    // After a quiet minute the bucket must be full, even without a header.
    let now = Duration::from_mins(1);
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.0, Duration::ZERO);
    let at_once = |pacer: &mut Pacer, most| (0..most).take_while(|_| pacer.take_look(now).is_ok()).count();
    assert_eq!(at_once(&mut pacer, 16), 16);
    let headers = RateHeaders {
        limit: Some(50),
        remaining: Some(49),
        ..RateHeaders::default()
    };
    pacer.answered(now, Kind::Read, &headers);
    // Of the 49 left, 31 are for the rest of the 16 attempts.
    assert_eq!(at_once(&mut pacer, 100), 9);
}

#[test]
fn a_smaller_limit_means_a_smaller_plan_and_a_larger_one_only_a_larger_bucket() {
    let with_limit = |limit| {
        let mut pacer = Pacer::new(RatePlan::Enterprise, 0.0, Duration::ZERO);
        assert!(pacer.take_look(Duration::ZERO).is_ok());
        let headers = RateHeaders {
            limit: Some(limit),
            remaining: Some(limit),
            ..RateHeaders::default()
        };
        pacer.answered(Duration::ZERO, Kind::Read, &headers);
        let at_once = (0..1000)
            .take_while(|_| pacer.take_look(Duration::ZERO).is_ok())
            .count();
        (at_once, pacer.take_look(Duration::ZERO).unwrap_err())
    };
    assert_eq!(with_limit(10), (4, Duration::from_millis(313)));
    assert_eq!(with_limit(100), (49, Duration::from_millis(63)));
}

#[test]
fn what_was_not_used_goes_back() {
    let mut pacer = Pacer::new(RatePlan::EnterpriseNonProd, 0.0, Duration::ZERO);
    for _ in 0..1000 {
        let permit = pacer
            .take_look(Duration::ZERO)
            .expect("attempts without a call cost nothing");
        pacer.refund(Duration::ZERO, permit, Unused::Both);
    }
}

#[test]
fn plans_are_read_as_they_are_written() {
    for plan in PLANS {
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }
    for bad in [
        "", "Free", "50", "50:", ":16", "1:1", "50:0", "50:-1", "50:NaN", "50:inf", "501:1", "50:16:1",
    ] {
        assert!(bad.parse::<RatePlan>().is_err(), "{bad}");
    }
}

#[test]
fn several_429s_at_once_are_one_and_the_hold_saves_up_nothing() {
    let none = RateHeaders::default();
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.0, Duration::ZERO);
    let permit = pacer
        .take_look(Duration::ZERO)
        .expect("the first attempt finds out");
    for _ in 0..4 {
        pacer.limited(Duration::ZERO, UNIX_0, Kind::Read, &none);
    }
    // A response sent before the 429 says nothing about the time after the hold.
    let old = RateHeaders {
        remaining: Some(40),
        ..none
    };
    pacer.answered(Duration::ZERO, Kind::Read, &old);
    pacer.refund(Duration::ZERO, permit, Unused::Write);
    let hold = Duration::from_secs(1);
    assert_eq!(pacer.take_look(Duration::ZERO).unwrap_err(), hold);
    assert!(pacer.take_look(hold).is_ok(), "one attempt finds out");
    // The attempt is owed, so the next one needs a refill of four calls, at 16 per second.
    assert_eq!(pacer.take_look(hold).unwrap_err(), Duration::from_millis(250));
    pacer.limited(hold, UNIX_0, Kind::Read, &none);
    assert_eq!(pacer.take_look(hold).unwrap_err(), hold * 2);
}

#[test]
fn another_share_is_left_from_the_moment_it_is_set() {
    let now = Duration::from_secs(100);
    let mut pacer = Pacer::new("50:10".parse().unwrap(), 0.5, Duration::ZERO);
    assert!(pacer.take_look(now).is_ok());
    let full = RateHeaders {
        limit: Some(50),
        remaining: Some(50),
        ..RateHeaders::default()
    };
    pacer.answered(now, Kind::Read, &full);
    let looks = |pacer: &mut Pacer| (0..50).take_while(|_| pacer.take_look(now).is_ok()).count();
    let half = looks(&mut pacer);
    pacer.set_reserve(now, 0.0);
    let rest = looks(&mut pacer);
    pacer.set_reserve(now, 0.5);
    assert!((10..15).contains(&half) && rest >= 10, "{half}, then {rest}");
    assert_eq!(looks(&mut pacer), 0);
}
