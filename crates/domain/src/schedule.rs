//! When a user is looked at again after a look has ended.
//!
//! Owns the rules of patience, sorted by who acts next. Must never drop work: a wait has a cap, the number of
//! attempts has none.

use std::time::Duration;

/// Longest wait that a `Retry-After` or another floor can ask for; beyond it, asking once an hour is gentler
/// on everybody than trusting a header.
pub const MAX_FLOOR: Duration = Duration::from_hours(1);
/// A parked user is looked at again after this, in case that somebody mended it at Auth0 and no record came.
pub const PARKED_FOR: Duration = Duration::from_hours(24);
/// Attempts with an answer that cannot be understood after which the user is parked: some fifteen minutes in all.
pub const UNCLEAR_AT_MOST: u32 = 10;
/// Attempts that were denied access, or failed for what is stored of the user, after which the user is parked.
pub const DENIED_AT_MOST: u32 = 3;
/// A paused stage probes no oftener than this.
pub const MIN_PROBE: Duration = Duration::from_secs(5);
/// A paused stage probes at least this often, so that it is back within a minute of being mended.
pub const MAX_PROBE: Duration = Duration::from_mins(1);

/// How a look at a user ended, sorted by who acts next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody: in step, or the user is gone.
    Settled,
    /// Nobody: the rate limit was used up.
    Limited,
    /// Nobody: the same may do later.
    Later,
    /// Perhaps nobody: what came was no answer, or may pass. An operator, once it has come `most` times in a row.
    Doubtful {
        /// In words.
        reason: String,
        /// Attempts after which the user is parked.
        most: u32,
    },
    /// A person must look at this one user.
    Refused {
        /// In words.
        reason: String,
    },
    /// Everyone stops: no token, or credentials or scope refused.
    Stopped {
        /// In words.
        reason: String,
    },
}

/// What happens to the nomination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// It is due again.
    Again {
        /// From now.
        after: Duration,
        /// Whether the next base delay is longer.
        counts_as_attempt: bool,
    },
    /// It waits for a person, or for the profile to change, or for `wake_after`.
    Parked {
        /// Shown to the person.
        reason: String,
        /// From now.
        wake_after: Duration,
    },
    /// It stays due as it is, and the whole stage rests: no attempt is used up.
    StagePaused {
        /// Shown to the person.
        reason: String,
        /// From now until one probe is made.
        probe_after: Duration,
    },
}

/// Says when to look again.
///
/// `failures`: failed attempts in a row, this one included.
/// `base` is the base delay of this attempt: 1 s, 2 s, 4 s … 512 s, then 15 min for ever (of this probe, for
/// [`Ended::Stopped`]). `jitter` is a random number in `[0, 1)`. `floor` is what the wait may not fall short
/// of: `Retry-After`, or the time in which a write without an answer can still arrive.
///
/// The wait is 50 % to 100 % of `base`: users that failed together come back apart, and yet each wait is at
/// least as long as the one before. The rate limit is no failure: it uses no attempt, so its wait does not
/// grow here; the pacer holds everybody back as long as it must.
#[must_use]
pub fn next(ended: Ended, failures: u32, base: Duration, jitter: f64, floor: Option<Duration>) -> Next {
    // A NaN is clamped to itself, and would make the product panic.
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
            reason: format!("{reason} ({failures} attempts)"),
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
