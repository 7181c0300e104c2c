//! The rate beside other clients of the tenant: the reserve, and what is left to each.

use super::*;

#[test]
fn alone_and_without_a_reserve_the_whole_rate_is_used() {
    for plan in PLANS {
        let world = World::new(plan, 0.0, 7);
        let counted = world.run(HOUR);
        let share = f64::from(counted.writes) / world.allowed_attempts(HOUR);
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
        up_to_date: 1.0,
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
        plan in prop::sample::select(&PLANS[1..]), full in 0.2_f64..1.0, latency in 0.0_f64..0.15, up_to_date in 0.0_f64..0.5, idle in 0.0_f64..5.0, seed: u64,
    ) {
        let world = World { hands: 16, idle, latency, full, up_to_date, ..World::new(plan, 0.0, seed) };
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
        let cost = if write.is_some() { 1.0 } else { 2.0 };
        // Calls in flight refill with that delay for the tenant.
        let slack = cost + rate * latency * 2.0 + 1.0;
        let kept = if limit - cost < reserve * limit { 0.0 } else { reserve * limit };
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
fn a_bucket_used_up_by_others_is_left_until_it_refills() {
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

#[test]
fn another_share_is_left_from_the_moment_it_is_set() {
    let now = Duration::from_secs(100);
    let mut pacer = Pacer::new("50:10".parse().unwrap(), 0.5, Duration::ZERO);
    assert!(pacer.take_attempt(now).is_ok());
    let full = RateHeaders {
        limit: Some(50),
        remaining: Some(50),
        ..RateHeaders::default()
    };
    pacer.answered(now, CallKind::Read, &full);
    let attempts = |pacer: &mut Pacer| (0..50).take_while(|_| pacer.take_attempt(now).is_ok()).count();
    let half = attempts(&mut pacer);
    pacer.set_reserve(now, 0.0);
    let rest = attempts(&mut pacer);
    pacer.set_reserve(now, 0.5);
    assert!((10..15).contains(&half) && rest >= 10, "{half}, then {rest}");
    assert_eq!(attempts(&mut pacer), 0);
}
