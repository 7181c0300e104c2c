//! When a mass of changes is stopped until a person has looked.
//!
//! Owns the decision: more than a number and more than a share of the holders. Must never let a change pass
//! because counting was cut short.

use std::time::Duration;

use super::plan::Change;

/// What one direction may do inside the window before it is braked: whoever wants more must exceed both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Users that may change, however few hold a role.
    pub number: i64,
    /// Share of the holders that may change, 0 to 1.
    pub share: f64,
}

/// How many known users may be gone inside [`GONE_WINDOW`] before an operator has to look.
pub const GONE: Limits = Limits {
    number: 10,
    share: 0.01,
};
/// How long a user who is gone counts.
pub const GONE_WINDOW: Duration = Duration::from_mins(10);

/// The limits of both directions, and the window they hold for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrakeLimits {
    /// For revokes.
    pub revokes: Limits,
    /// For grants.
    pub grants: Limits,
    /// How long a decided change counts.
    pub window: Duration,
}

/// How a brake stands for one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// A person has let this user pass.
    Released,
    /// It is engaged.
    Engaged,
    /// It is not: the limits decide.
    Free,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It waits for a person.
    Hold,
    /// So does it, and everything of its kind from here on.
    Engage,
}

/// What a person calls the changes of one direction.
#[must_use]
pub fn word(change: Change) -> &'static str {
    match change {
        Change::Granted => "grants",
        Change::Revoked => "revokes",
    }
}

impl BrakeLimits {
    /// The limits of one direction.
    #[must_use]
    pub fn of(&self, change: Change) -> Limits {
        match change {
            Change::Granted => self.grants,
            Change::Revoked => self.revokes,
        }
    }
}

impl Limits {
    /// Users beyond which counting tells nothing more. Without the number of holders this is where it begins to
    /// matter.
    #[must_use]
    pub fn enough(self, holders: Option<i64>) -> i64 {
        let of_holders = holders.map_or(0, |holders| self.share_of(holders));
        self.number.max(of_holders).saturating_add(1)
    }

    /// Most users that are not more than the share.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a share of a count of rows, rounded down, is a count of rows"
    )]
    fn share_of(self, holders: i64) -> i64 {
        (self.share * holders as f64).floor() as i64
    }

    fn exceeded(self, changes: i64, holders: i64) -> bool {
        changes > self.number && changes > self.share_of(holders)
    }
}

/// Judges a change: `changes` users, this one among them, would change inside the window, out of `holders` who
/// held a role at its start.
#[must_use]
pub fn judge(limits: Limits, brake: Brake, changes: i64, holders: i64) -> Verdict {
    match brake {
        Brake::Engaged => Verdict::Hold,
        Brake::Free if limits.exceeded(changes, holders) => Verdict::Engage,
        Brake::Released | Brake::Free => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        number: 100,
        share: 0.1,
    };

    #[test]
    fn both_limits_must_be_exceeded() {
        for (changes, holders, verdict) in [
            (1, 0, Verdict::Pass),
            (100, 0, Verdict::Pass),
            (101, 0, Verdict::Engage),
            (101, 1_000, Verdict::Engage),
            (101, 1_009, Verdict::Engage),
            (101, 1_010, Verdict::Pass),
            (1_000, 10_000, Verdict::Pass),
            (1_001, 10_000, Verdict::Engage),
            (10_000, 10_000, Verdict::Engage),
        ] {
            let judged = judge(LIMITS, Brake::Free, changes, holders);
            assert_eq!(judged, verdict, "{changes} of {holders}");
        }
    }

    #[test]
    fn a_person_is_stronger_than_the_brake_and_the_brake_than_the_limits() {
        assert_eq!(judge(LIMITS, Brake::Released, 10_000, 10_000), Verdict::Pass);
        assert_eq!(judge(LIMITS, Brake::Engaged, 1, 10_000), Verdict::Hold);
    }

    #[test]
    fn each_direction_has_its_limits() {
        let grants = Limits {
            number: 1_000,
            share: 0.5,
        };
        let limits = BrakeLimits {
            revokes: LIMITS,
            grants,
            window: Duration::from_hours(1),
        };
        assert_eq!(limits.of(Change::Revoked), LIMITS);
        assert_eq!(limits.of(Change::Granted), grants);
    }

    prop_compose! {
        fn limits()(number in 0_i64..2_000, share in 0.0_f64..=1.0) -> Limits {
            Limits { number, share }
        }
    }

    proptest! {
        #[test]
        fn cutting_the_count_short_changes_no_verdict(
            limits in limits(), changes in 1_i64..5_000, holders in 0_i64..5_000
        ) {
            let whole = judge(limits, Brake::Free, changes, holders);
            let cut = changes.min(limits.enough(Some(holders)));
            prop_assert_eq!(judge(limits, Brake::Free, cut, holders), whole);
            // Below the first cut the holders need not be counted.
            if changes < limits.enough(None) {
                prop_assert_eq!(whole, Verdict::Pass);
            }
        }

        #[test]
        fn more_changes_never_loosen_it_and_more_holders_never_tighten_it(
            limits in limits(), changes in 1_i64..5_000, holders in 0_i64..5_000, more in 0_i64..5_000
        ) {
            let verdict = judge(limits, Brake::Free, changes, holders);
            if verdict == Verdict::Engage {
                prop_assert_eq!(judge(limits, Brake::Free, changes + more, holders), Verdict::Engage);
            } else {
                prop_assert_eq!(judge(limits, Brake::Free, changes, holders + more), Verdict::Pass);
            }
        }

        #[test]
        fn it_engages_only_beyond_number_and_share(
            limits in limits(), changes in 1_i64..5_000, holders in 0_i64..5_000
        ) {
            let beyond = changes > limits.number && changes as f64 > limits.share * holders as f64;
            prop_assert_eq!(judge(limits, Brake::Free, changes, holders) == Verdict::Engage, beyond);
        }
    }
}
