//! Removals by hand under `manual = "respect"`.

use super::*;
use crate::removal::{RECORD_WITHIN, Removal, RemovalState};
use crate::rule::{Condition, Shown};

fn removal(state: RemovalState) -> Removal {
    Removal {
        role: "editor".to_owned(),
        found_at: NOON - time::Duration::minutes(1),
        state,
    }
}

fn removed(state: RemovalState, assignment: Assignment) -> Snapshot {
    Snapshot {
        removals: vec![removal(state)],
        ..with(100, assignment)
    }
}

fn missing() -> Assignment {
    Assignment {
        has_role: false,
        adopted: false,
        suppressed: true,
        ..assigned(true)
    }
}

#[test]
fn a_role_missed_for_the_first_time_waits_for_a_record() {
    let rules = rules(OnExternalRemoval::Respect, Revoke::On);
    let mut evaluation = Evaluation::of(with(100, assigned(true)), &rules);
    let since = assigned(true).since;
    let found = evaluation.removed_by_hand(&SeenRoles::Missing);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.found_at, found[0].1), (NOON, since));
    evaluation.await_record(found[0].0.clone());
    assert_eq!(evaluation.left_open(), ["editor"]);
    assert_eq!(evaluation.again_at(), Some(NOON + RECORD_WITHIN));
    assert!(evaluation.wants().iter().all(|want| want.role != "editor"));
    assert!(evaluation.externally_removed(&SeenRoles::Missing).is_empty());
}

#[test]
fn what_is_waited_for_needs_an_attempt_and_what_is_held_none() {
    let rules = rules(OnExternalRemoval::Respect, Revoke::On);
    for (state, assignment, up_to_date) in [
        (RemovalState::Waiting, assigned(true), false),
        (RemovalState::Released, missing(), false),
        (RemovalState::Held, missing(), true),
    ] {
        let evaluation = Evaluation::of(removed(state, assignment), &rules);
        assert_eq!(evaluation.roles[0].up_to_date(), up_to_date, "{state:?}");
        assert_eq!(evaluation.roles[0].pending_change(), None, "{state:?}");
    }
}

#[test]
fn a_removal_ends_as_a_pin_or_with_the_role() {
    let rules = rules(OnExternalRemoval::Respect, Revoke::On);
    let missed = || Evaluation::of(removed(RemovalState::Waiting, assigned(true)), &rules);
    let mut pinned = missed();
    pinned.pin_off("editor");
    assert!(!pinned.roles[0].wanted() && pinned.removed_by_hand(&SeenRoles::Missing).is_empty());
    let mut has_role = missed();
    has_role.hold_removed(removal(RemovalState::Held));
    assert_eq!(has_role.again_at(), None);
    assert!(!has_role.roles[0].wanted() && has_role.externally_removed(&SeenRoles::Missing).is_empty());
    has_role.pin_off("editor");
    assert!(
        !has_role.roles[0].suppressed,
        "the end of the pin is the end of the removal"
    );
    let mut restored = missed();
    restored.restore_removed("editor");
    let again = restored.externally_removed(&SeenRoles::Missing);
    assert_eq!(again, [("editor", OnExternalRemoval::Respect)]);
    assert!(restored.roles[0].wanted());
}

#[test]
fn a_role_that_is_back_or_no_longer_earned_settles_its_removal() {
    let back = SeenRoles::List(vec!["editor".to_owned()]);
    let none: [&str; 0] = [];
    for (manual, state, plays, seen, settled) in [
        (
            OnExternalRemoval::Respect,
            RemovalState::Waiting,
            100,
            &SeenRoles::Missing,
            &none[..],
        ),
        (
            OnExternalRemoval::Respect,
            RemovalState::Waiting,
            0,
            &SeenRoles::Missing,
            &["editor"],
        ),
        (
            OnExternalRemoval::Respect,
            RemovalState::Held,
            0,
            &SeenRoles::Missing,
            &none,
        ),
        (
            OnExternalRemoval::Respect,
            RemovalState::Held,
            100,
            &back,
            &["editor"],
        ),
        (
            OnExternalRemoval::Restore,
            RemovalState::Held,
            100,
            &SeenRoles::Missing,
            &["editor"],
        ),
    ] {
        let rules = rules(manual, Revoke::On);
        let mut snapshot = removed(state, assigned(true));
        snapshot.facts.best = plays;
        let mut evaluation = Evaluation::of(snapshot, &rules);
        assert_eq!(
            evaluation.settle_removals(seen),
            settled,
            "{manual:?} {state:?} {plays}"
        );
    }
}

#[test]
fn a_held_removal_is_granted_again_once_its_rule_restores() {
    for (manual, up_to_date, wanted) in [
        (OnExternalRemoval::Respect, true, false),
        (OnExternalRemoval::Alert, false, false),
        (OnExternalRemoval::Restore, false, true),
    ] {
        let rules = rules(manual, Revoke::On);
        let mut evaluation = Evaluation::of(removed(RemovalState::Held, missing()), &rules);
        assert_eq!(evaluation.roles[0].up_to_date(), up_to_date, "{manual:?}");
        evaluation.settle_removals(&SeenRoles::Missing);
        assert_eq!(evaluation.roles[0].wanted(), wanted, "{manual:?}");
    }
}

#[test]
fn a_stale_write_is_no_removal() {
    let rules = rules(OnExternalRemoval::Respect, Revoke::On);
    let mut evaluation = Evaluation::of(with(100, assigned(true)), &rules);
    evaluation.mark_reverted(&["editor".to_owned()]);
    assert!(evaluation.removed_by_hand(&SeenRoles::Missing).is_empty());
    assert!(evaluation.roles[0].wanted());
}

/// The snapshot under a rule that treats removals like this, with a condition that does not hold.
fn unmet(manual: OnExternalRemoval, snapshot: Snapshot) -> (Rules, Snapshot) {
    let mut rule = rules(manual, Revoke::On).as_slice()[0].clone();
    rule.only_if = vec![Condition::EmailVerified];
    let shown = Some(Shown {
        blocked: false,
        email_verified: false,
    });
    (
        Rules::checked(vec![rule]).unwrap(),
        Snapshot { shown, ..snapshot },
    )
}

#[test]
fn a_removal_outlasts_a_condition_that_does_not_hold() {
    let waits = removed(RemovalState::Waiting, assigned(true));
    let held = removed(RemovalState::Held, missing());
    for (snapshot, found, suppressed) in [
        (with(100, assigned(true)), 1, false),
        (waits, 1, false),
        (held, 0, true),
    ] {
        let (rules, snapshot) = unmet(OnExternalRemoval::Respect, snapshot);
        let mut evaluation = Evaluation::of(snapshot, &rules);
        assert!(evaluation.settle_removals(&SeenRoles::Missing).is_empty());
        assert_eq!(evaluation.removed_by_hand(&SeenRoles::Missing).len(), found);
        assert!(evaluation.externally_removed(&SeenRoles::Missing).is_empty());
        assert_eq!(evaluation.roles[0].suppressed, suppressed);
    }
}

#[test]
fn a_low_count_ends_the_wait_for_a_record_alone() {
    let rules = rules(OnExternalRemoval::Respect, Revoke::On);
    for (state, suppressed) in [(RemovalState::Waiting, false), (RemovalState::Held, true)] {
        let mut snapshot = removed(state, missing());
        snapshot.facts.best = 0;
        let evaluation = Evaluation::of(snapshot, &rules);
        assert_eq!(evaluation.roles[0].suppressed, suppressed, "{state:?}");
    }
}

#[test]
fn a_reported_removal_outlasts_a_condition() {
    for (manual, found) in [
        (
            OnExternalRemoval::Alert,
            &[("editor", OnExternalRemoval::Alert)][..],
        ),
        (OnExternalRemoval::Restore, &[]),
    ] {
        let (rules, snapshot) = unmet(manual, with(100, assigned(true)));
        let mut evaluation = Evaluation::of(snapshot, &rules);
        assert_eq!(evaluation.externally_removed(&SeenRoles::Missing), found);
        let seen = evaluation.roles[0].seen(&SeenRoles::Missing).unwrap();
        assert_eq!(
            (seen.wanted, seen.suppressed),
            (false, manual == OnExternalRemoval::Alert)
        );
    }
}

#[test]
fn a_late_write_ends_no_removal_that_the_brake_holds() {
    let rules = rules(OnExternalRemoval::Respect, Revoke::On);
    let back = SeenRoles::List(vec!["editor".to_owned()]);
    let held = || Evaluation::of(removed(RemovalState::Held, missing()), &rules);
    let mut late = held();
    late.done_late("editor", true).expect("a rule");
    assert!(late.settle_removals(&back).is_empty() && !late.roles[0].wanted());
    assert!(late.roles[0].adopted(), "our write gave it, so it is revoked");
    let mut given = held();
    assert_eq!(given.settle_removals(&back), ["editor"], "another client gave it");
    assert!(!given.roles[0].adopted());
}
