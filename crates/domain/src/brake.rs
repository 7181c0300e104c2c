//! Decides when a mass of changes is held until the operator acts.
//!
//! Owns the decision: more than a number and more than a share of the holders. Must never let a change pass because the
//! count ended early.

use std::time::Duration;

use super::plan::RoleChange;

/// Limits of one kind of change inside the window. The brake engages when both are exceeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Number of users that may change, however few hold a role.
    pub number: i64,
    /// Share of the holders that may change, from 0 to 1.
    pub share: f64,
}

/// Limits on the known users that Auth0 reports as deleted inside [`GONE_WINDOW`] before the brake engages.
pub const GONE: Limits = Limits {
    number: 10,
    share: 0.01,
};
/// Time for which a deleted user counts.
pub const GONE_WINDOW: Duration = Duration::from_mins(10);

/// The limits of both kinds of changes, and their window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrakeLimits {
    /// Limits of revokes.
    pub revokes: Limits,
    /// Limits of grants.
    pub grants: Limits,
    /// Time for which a decided change counts.
    pub window: Duration,
}

/// State of a brake for one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// The operator released this user.
    Released,
    /// The brake is engaged.
    Engaged,
    /// The brake is not engaged: the limits decide.
    Free,
}

/// Decision about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The change goes on.
    Pass,
    /// The change is held for the operator.
    Hold,
    /// The change is held, and so are all further changes of its kind.
    Engage,
}

/// The operator's word for the changes of one kind.
#[must_use]
pub fn word(change: RoleChange) -> &'static str {
    match change {
        RoleChange::Granted => "grants",
        RoleChange::Revoked => "revokes",
    }
}

impl BrakeLimits {
    /// The limits of one kind of change.
    #[must_use]
    pub fn of(&self, change: RoleChange) -> Limits {
        match change {
            RoleChange::Granted => self.grants,
            RoleChange::Revoked => self.revokes,
        }
    }
}

impl Limits {
    /// Number of changes at which counting may stop. Without the number of holders, it is the number from which the
    /// holders must be counted.
    #[must_use]
    pub fn enough(self, holders: Option<i64>) -> i64 {
        let of_holders = holders.map_or(0, |holders| self.share_of(holders));
        self.number.max(of_holders).saturating_add(1)
    }

    /// Largest number of users that does not exceed the share.
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

/// Judges a change: `changes` users, this one included, would change inside the window, and `holders` held a role at
/// its start.
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
    fn the_operator_overrides_brakes_and_brakes_the_limits() {
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
        assert_eq!(limits.of(RoleChange::Revoked), LIMITS);
        assert_eq!(limits.of(RoleChange::Granted), grants);
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
            // Up to this number of changes the holders need not be counted.
            if changes < limits.enough(None) {
                prop_assert_eq!(whole, Verdict::Pass);
            }
        }

        #[test]
        fn more_changes_never_loosen_it(
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
