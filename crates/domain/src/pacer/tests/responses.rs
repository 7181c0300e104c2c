//! Responses that the pacer learns from: headers, also wrong ones, refusals, and calls that are still in flight.

use super::*;

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
            if let Err(wait) = pacer.take_attempt(now) {
                let longest = MAX_RETRY_AFTER.max(pacer.refill_interval()) + Duration::from_millis(1);
                prop_assert!(wait >= Duration::from_millis(1) && wait <= longest, "{:?}", wait);
                now += wait;
                let again = pacer.take_attempt(now);
                prop_assert!(again.is_ok(), "waits {:?} and then {:?}", wait, again);
            }
            now += Duration::from_millis(took);
            let kind = if is_write { CallKind::Write } else { CallKind::Read };
            if limited {
                pacer.limited(now, UNIX_0, kind, &headers);
            } else {
                pacer.answered(now, kind, &headers);
            }
        }
    }

    /// Without a 429 there is at least one attempt per refill, whatever level the responses report.
    #[test]
    fn an_always_empty_bucket_is_still_tried_once_a_refill(plan in prop::sample::select(&PLANS[..]), reserve in 0.0_f64..1.0, remaining in 0_u32..2) {
        let mut now = Duration::ZERO;
        let mut pacer = Pacer::new(plan, reserve, now);
        let headers = RateHeaders { remaining: Some(remaining), reset_unix_s: Some(UNIX_0 + 31_536_000), ..RateHeaders::default() };
        let interval = pacer.refill_interval();
        let mut attempts = 0_u32;
        while now < Duration::from_hours(1) {
            match pacer.take_attempt(now) {
                Ok(_) => attempts += 1,
                Err(wait) => now += wait,
            }
            pacer.answered(now, CallKind::Read, &headers);
            pacer.answered(now, CallKind::Write, &headers);
        }
        prop_assert!(f64::from(attempts) >= (HOUR / interval.as_secs_f64()).floor() * 0.99, "{} attempts", attempts);
    }
}

/// A pacer before its first call, and the hold after consecutive 429s with `headers`.
fn holds(headers: &RateHeaders, count: usize) -> Vec<f64> {
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.5, Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut held = Vec::new();
    for _ in 0..count {
        if let Err(wait) = pacer.take_attempt(now) {
            now += wait;
            assert!(pacer.take_attempt(now).is_ok());
        }
        pacer.limited(now, UNIX_0, CallKind::Read, headers);
        held.push(
            pacer
                .take_attempt(now)
                .expect_err("held after a 429")
                .as_secs_f64(),
        );
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
fn an_hour_of_429s_costs_two_calls_a_minute_at_most() {
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.5, Duration::ZERO);
    let (mut now, mut calls) = (Duration::ZERO, 0);
    while now < Duration::from_hours(1) {
        match pacer.take_attempt(now) {
            Ok(permit) => {
                calls += 1;
                pacer.limited(now, UNIX_0, CallKind::Read, &RateHeaders::default());
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
    assert!(pacer.take_attempt(now).is_ok());
    pacer.answered(now, CallKind::Read, &full);
    assert!(pacer.take_attempt(now).is_ok(), "a header reported a full bucket");
    pacer.limited(now, UNIX_0, CallKind::Read, &RateHeaders::default());
    assert_eq!(
        pacer.take_attempt(now).unwrap_err(),
        Duration::from_secs(1),
        "the 429s no longer count"
    );
}

#[test]
fn at_the_start_one_attempt_finds_out_how_full_the_bucket_is() {
    let start = |remaining| {
        let mut pacer = Pacer::new(RatePlan::Enterprise, 0.5, Duration::ZERO);
        assert!(pacer.take_attempt(Duration::ZERO).is_ok());
        assert!(
            pacer.take_attempt(Duration::ZERO).is_err(),
            "one attempt until its response"
        );
        let headers = RateHeaders {
            limit: Some(50),
            remaining,
            ..RateHeaders::default()
        };
        pacer.answered(Duration::ZERO, CallKind::Read, &headers);
        (0..100)
            .take_while(|_| pacer.take_attempt(Duration::ZERO).is_ok())
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
    let at_once = |pacer: &mut Pacer, most| (0..most).take_while(|_| pacer.take_attempt(now).is_ok()).count();
    assert_eq!(at_once(&mut pacer, 16), 16);
    let headers = RateHeaders {
        limit: Some(50),
        remaining: Some(49),
        ..RateHeaders::default()
    };
    pacer.answered(now, CallKind::Read, &headers);
    // Of the 49 left, 31 are for the rest of the 16 attempts.
    assert_eq!(at_once(&mut pacer, 100), 9);
}

#[test]
fn a_smaller_limit_means_a_smaller_plan() {
    let with_limit = |limit| {
        let mut pacer = Pacer::new(RatePlan::Enterprise, 0.0, Duration::ZERO);
        assert!(pacer.take_attempt(Duration::ZERO).is_ok());
        let headers = RateHeaders {
            limit: Some(limit),
            remaining: Some(limit),
            ..RateHeaders::default()
        };
        pacer.answered(Duration::ZERO, CallKind::Read, &headers);
        let at_once = (0..1000)
            .take_while(|_| pacer.take_attempt(Duration::ZERO).is_ok())
            .count();
        (at_once, pacer.take_attempt(Duration::ZERO).unwrap_err())
    };
    assert_eq!(with_limit(10), (4, Duration::from_millis(313)));
    assert_eq!(with_limit(100), (49, Duration::from_millis(63)));
}

#[test]
fn several_429s_at_once_are_one_and_the_hold_saves_up_nothing() {
    let none = RateHeaders::default();
    let mut pacer = Pacer::new(RatePlan::Enterprise, 0.0, Duration::ZERO);
    let permit = pacer
        .take_attempt(Duration::ZERO)
        .expect("the first attempt finds out");
    for _ in 0..4 {
        pacer.limited(Duration::ZERO, UNIX_0, CallKind::Read, &none);
    }
    // A response sent before the 429 says nothing about the time after the hold.
    let old = RateHeaders {
        remaining: Some(40),
        ..none
    };
    pacer.answered(Duration::ZERO, CallKind::Read, &old);
    pacer.refund(Duration::ZERO, permit, Unused::Write);
    let hold = Duration::from_secs(1);
    assert_eq!(pacer.take_attempt(Duration::ZERO).unwrap_err(), hold);
    assert!(pacer.take_attempt(hold).is_ok(), "one attempt finds out");
    // The attempt is owed, so the next one needs a refill of four calls, at 16 per second.
    assert_eq!(pacer.take_attempt(hold).unwrap_err(), Duration::from_millis(250));
    pacer.limited(hold, UNIX_0, CallKind::Read, &none);
    assert_eq!(pacer.take_attempt(hold).unwrap_err(), hold * 2);
}
