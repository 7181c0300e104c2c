//! Attempts caused only by log records: their share of the rate, and the rest for other attempts.

use super::*;

/// Takes record attempts as often as permitted, each with a read only, until `end`; returns their number, and the
/// longest wait of another attempt once the pacer knew the bucket.
fn flood(pacer: &mut Pacer, end: Duration, read_only: bool) -> (u32, Duration) {
    let (mut taken, mut worst, mut now) = (0, Duration::ZERO, Duration::ZERO);
    while now < end {
        let wait = pacer.until_record_attempt(now);
        let attempt = if wait.is_zero() {
            pacer.take_attempt(now)
        } else {
            Err(wait)
        };
        match attempt {
            Ok(mut permit) => {
                pacer.by_record(&mut permit);
                pacer.answered(now, CallKind::Read, &RateHeaders::default());
                if read_only {
                    pacer.refund(now, permit, Unused::Write);
                } else {
                    pacer.answered(now, CallKind::Write, &RateHeaders::default());
                }
                taken += 1;
                if now > end / 2 {
                    // Another attempt right after it, which is not used.
                    match pacer.take_attempt(now) {
                        Ok(other) => pacer.refund(now, other, Unused::Both),
                        Err(wait) => worst = worst.max(wait),
                    }
                }
            }
            Err(wait) => now += wait,
        }
    }
    (taken, worst)
}

#[test]
fn record_attempts_get_a_quarter_of_the_rate_and_delay_no_other() {
    let end = Duration::from_mins(20);
    for (plan, reads_a_second, burst) in [
        (RatePlan::Free, 2.0, 2.0),
        (RatePlan::SelfService, 500.0 / 60.0, 40.0),
        (RatePlan::Enterprise, 16.0, 50.0),
        (RatePlan::EnterpriseNonProd, 2.0, 10.0),
    ] {
        let mut pacer = Pacer::new(plan, 0.0, Duration::ZERO);
        let (taken, worst) = flood(&mut pacer, end, true);
        let most = (reads_a_second * end.as_secs_f64() + burst) / 4.0 + 2.0;
        assert!(f64::from(taken) <= most, "{plan}: {taken} of {most}");
        assert!(f64::from(taken) >= most * 0.9 - 2.0, "{plan}: {taken} of {most}");
        // A bucket that one attempt empties cannot hold another's calls; elsewhere no attempt waits.
        let bound = if plan == RatePlan::Free {
            Duration::from_secs(1)
        } else {
            Duration::ZERO
        };
        assert!(worst <= bound, "{plan}: {worst:?}");
    }
}

#[test]
fn writes_of_record_attempts_count_in_their_share() {
    let end = Duration::from_mins(20);
    let mut pacer = Pacer::new(RatePlan::SelfService, 0.0, Duration::ZERO);
    let (taken, _) = flood(&mut pacer, end, false);
    let most = (200.0 / 60.0 * end.as_secs_f64() + 20.0) / 4.0 + 1.0;
    assert!(f64::from(taken) <= most, "{taken} of {most}");
}

#[test]
fn a_record_attempt_without_a_call_gives_its_share_back() {
    let mut pacer = Pacer::new(RatePlan::Free, 0.0, Duration::ZERO);
    let now = Duration::from_mins(1);
    assert_eq!(pacer.until_record_attempt(now), Duration::ZERO);
    let mut permit = pacer.take_attempt(now).unwrap();
    pacer.by_record(&mut permit);
    pacer.by_record(&mut permit);
    assert!(pacer.until_record_attempt(now) > Duration::ZERO);
    pacer.refund(now, permit, Unused::Both);
    assert_eq!(pacer.until_record_attempt(now), Duration::ZERO);
}
