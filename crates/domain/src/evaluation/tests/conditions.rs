//! Conditions of a rule on the profile.

use super::*;
use crate::rule::{Condition, Shown};

const FINE: Shown = Shown {
    blocked: false,
    email_verified: true,
};
const BLOCKED: Shown = Shown {
    blocked: true,
    email_verified: true,
};

/// A rule for editors that has a grace of a day, and both conditions.
fn conditional(revoke: Revoke) -> Rules {
    let mut rule = rules(OnExternalRemoval::Restore, revoke).as_slice()[0].clone();
    rule.grace = std::time::Duration::from_hours(24);
    rule.only_if = vec![Condition::NotBlocked, Condition::EmailVerified];
    Rules::checked(vec![rule]).unwrap()
}

fn shown(shown: Shown, snapshot: Snapshot) -> Snapshot {
    Snapshot {
        shown: Some(shown),
        ..snapshot
    }
}

#[test]
fn a_condition_that_fails_is_below_the_threshold_at_once() {
    let unverified = Shown {
        email_verified: false,
        ..FINE
    };
    for (case, snapshot, revoke, expected) in [
        (
            "met",
            shown(FINE, snapshot(100)),
            Revoke::On,
            (true, Some(RoleChange::Granted)),
        ),
        (
            "blocked",
            shown(BLOCKED, snapshot(100)),
            Revoke::On,
            (false, None),
        ),
        (
            "unverified",
            shown(unverified, snapshot(100)),
            Revoke::On,
            (false, None),
        ),
        (
            "blocked holder",
            shown(BLOCKED, with(100, assigned(true))),
            Revoke::On,
            (false, Some(RoleChange::Revoked)),
        ),
        (
            "never revoked",
            shown(BLOCKED, with(100, assigned(true))),
            Revoke::Never,
            (true, None),
        ),
        (
            "in grace",
            shown(FINE, with(0, assigned(true))),
            Revoke::On,
            (true, None),
        ),
    ] {
        let rules = conditional(revoke);
        let evaluation = Evaluation::of(snapshot, &rules);
        let role = &evaluation.roles[0];
        assert_eq!((role.wanted(), role.pending_change()), expected, "{case}");
        assert!(!role.unsure, "{case}");
    }
}

/// Without a whole profile nothing is decided: the role stays as it was, and the profile is read.
#[test]
fn an_unknown_profile_keeps_the_last_decision_and_needs_a_read() {
    let rules = conditional(Revoke::On);
    for (case, snapshot, wanted, up_to_date) in [
        ("nothing to decide", snapshot(0), false, true),
        ("earned", snapshot(100), false, false),
        ("held", with(100, assigned(true)), true, false),
        ("held, below", with(0, assigned(true)), true, false),
    ] {
        let evaluation = Evaluation::of(snapshot, &rules);
        let role = &evaluation.roles[0];
        assert_eq!((role.wanted(), role.up_to_date()), (wanted, up_to_date), "{case}");
        assert_eq!(
            evaluation.allows(RoleChange::Granted),
            !up_to_date,
            "{case}: a brake may be asked"
        );
    }
}

#[test]
fn a_pin_outweighs_conditions() {
    let rules = conditional(Revoke::On);
    let mut pinned = shown(BLOCKED, snapshot(0));
    pinned.pins = vec![Pin {
        role: "editor".to_owned(),
        on: true,
        until: None,
    }];
    assert!(Evaluation::of(pinned, &rules).roles[0].wanted());
}
