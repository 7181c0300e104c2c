//! Decides when a user is due again after an attempt.
//!
//! Owns the retry delays, sorted by who acts next. Must never drop work: a delay has a cap, the number of attempts has
//! none.

use std::time::Duration;

use crate::plural::noun;

/// Longest delay that a `Retry-After` or another floor can request. Beyond it, one request per hour is gentler than
/// trusting a header.
pub const MAX_FLOOR: Duration = Duration::from_hours(1);
/// A parked user is due again after this time, in case the operator repaired the user at Auth0 and no record arrived.
pub const PARKED_FOR: Duration = Duration::from_hours(24);
/// Attempts with an unintelligible response after which the user is parked: about fifteen minutes in all.
pub const UNCLEAR_AT_MOST: u32 = 10;
/// Attempts that were denied access, or failed because of stored data of the user, after which the user is parked.
pub const DENIED_AT_MOST: u32 = 3;
/// Shortest delay between probes while the circuit breaker is open.
pub const MIN_PROBE: Duration = Duration::from_secs(5);
/// Longest delay between probes while the circuit breaker is open, so that it closes within a minute of the repair.
pub const MAX_PROBE: Duration = Duration::from_mins(1);

/// Result of an attempt, sorted by who acts next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No action is needed: the user is up to date or deleted.
    Settled,
    /// Rolekeeper retries: the rate limit was used up.
    Limited,
    /// Rolekeeper retries: the same call may succeed later.
    Later,
    /// Rolekeeper retries: the response was unintelligible or the fault may be temporary. The operator acts after
    /// `most` attempts in a row.
    Doubtful {
        /// The reason as text.
        reason: String,
        /// Attempts after which the user is parked.
        most: u32,
    },
    /// The operator must act on this one user.
    Refused {
        /// The reason as text.
        reason: String,
    },
    /// All attempts stop: no token, or credentials or scope refused.
    Stopped {
        /// The reason as text.
        reason: String,
    },
}

/// The next state of the queued user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The user leaves the queue.
    Done,
    /// The user is due again.
    Again {
        /// Delay from now.
        after: Duration,
        /// Whether the next base delay is longer.
        counts_as_attempt: bool,
    },
    /// The user waits for the operator, for a change of the profile, or for `wake_after`.
    Parked {
        /// The reason, shown to the operator.
        reason: String,
        /// Delay from now.
        wake_after: Duration,
    },
    /// The user stays due and the circuit breaker opens; no attempt is used up.
    StagePaused {
        /// The reason, shown to the operator.
        reason: String,
        /// Delay from now to the next probe.
        probe_after: Duration,
    },
}

/// Decides when the next attempt is due.
///
/// `failures`: consecutive failed attempts, this one included. `base` is the base delay of this attempt: 1 s, 2 s, 4 s
/// … 512 s, then always 15 min (of this probe, for [`Ended::Stopped`]). `jitter` is a random number in `[0, 1)`.
/// `floor` is the minimum of the delay: `Retry-After`, or the time in which a write without a response can still
/// arrive.
///
/// The delay is 50 % to 100 % of `base`: users that failed together become due apart, and yet each delay is at least as
/// long as the previous one. The rate limit is no failure and uses no attempt, so its delay does not grow here; the
/// pacer holds all attempts as long as necessary.
#[must_use]
pub fn next(ended: Ended, failures: u32, base: Duration, jitter: f64, floor: Option<Duration>) -> Next {
    // `clamp` keeps a NaN, and the product would panic.
    let jitter = if jitter.is_nan() {
        1.0
    } else {
        jitter.clamp(0.0, 1.0)
    };
    let jittered = base.mul_f64(0.5 + 0.5 * jitter);
    let after = jittered.max(floor.unwrap_or_default().min(MAX_FLOOR));
    match ended {
        Ended::Settled => Next::Done,
        Ended::Limited => Next::Again {
            after,
            counts_as_attempt: false,
        },
        Ended::Doubtful { reason, most } if failures >= most => Next::Parked {
            reason: format!("{reason} ({failures} {})", noun(failures, "attempt", "attempts")),
            wake_after: PARKED_FOR,
        },
        Ended::Later | Ended::Doubtful { .. } => Next::Again {
            after,
            counts_as_attempt: true,
        },
        Ended::Refused { reason } => Next::Parked {
            reason,
            wake_after: PARKED_FOR,
        },
        Ended::Stopped { reason } => {
            let probe_after = jittered.clamp(MIN_PROBE, MAX_PROBE);
            Next::StagePaused { reason, probe_after }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn again(ended: Ended, base: Duration, jitter: f64, floor: Option<Duration>) -> (Duration, bool) {
        match next(ended, 1, base, jitter, floor) {
            Next::Again {
                after,
                counts_as_attempt,
            } => (after, counts_as_attempt),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_ending_has_its_next() {
        let reason = || "because".to_owned();
        let parked = Next::Parked {
            reason: reason(),
            wake_after: s(86_400),
        };
        let paused = |after| Next::StagePaused {
            reason: reason(),
            probe_after: after,
        };
        assert_eq!(next(Ended::Settled, 1, s(4), 0.0, None), Next::Done);
        assert_eq!(again(Ended::Later, s(4), 0.0, None), (s(2), true));
        assert_eq!(again(Ended::Later, s(4), 0.5, None), (s(3), true));
        assert_eq!(again(Ended::Limited, s(4), 0.0, None), (s(2), false));
        assert_eq!(
            next(Ended::Refused { reason: reason() }, 1, s(4), 0.0, Some(s(9))),
            parked
        );
        assert_eq!(
            next(Ended::Stopped { reason: reason() }, 1, s(1), 0.0, None),
            paused(s(5))
        );
        assert_eq!(
            next(Ended::Stopped { reason: reason() }, 1, s(32), 0.0, None),
            paused(s(16))
        );
        assert_eq!(
            next(Ended::Stopped { reason: reason() }, 1, s(900), 0.9, None),
            paused(s(60))
        );
    }

    #[test]
    fn f45_what_is_never_understood_ends_with_an_operator() {
        let ended = || Ended::Doubtful {
            reason: "because".to_owned(),
            most: 10,
        };
        assert_eq!(again(ended(), s(4), 0.0, None), (s(2), true));
        let last = next(ended(), 10, s(4), 0.0, None);
        assert!(matches!(last, Next::Parked { reason, .. } if reason == "because (10 attempts)"));
    }

    #[test]
    fn a_floor_holds_up_to_an_hour() {
        assert_eq!(again(Ended::Limited, s(4), 0.0, Some(s(30))).0, s(30));
        assert_eq!(again(Ended::Later, s(400), 0.0, Some(s(30))).0, s(200));
        assert_eq!(again(Ended::Later, s(4), 0.0, Some(Duration::MAX)).0, s(3600));
    }

    proptest! {
        #[test]
        fn waits_grow_and_stay_inside_their_bounds(base in 1_u64..=900, first: f64, second: f64) {
            let base = s(base);
            let (wait, _) = again(Ended::Later, base, first, None);
            prop_assert!(wait >= base / 2 && wait <= base);
            let (longer, _) = again(Ended::Later, base * 2, second, None);
            prop_assert!(longer >= wait);
        }
    }
}
