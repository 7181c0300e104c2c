//! Pins: they outweigh rules, the policy for removals by hand, and an earlier suppression.

use super::*;

fn pinned(on: bool, snapshot: Snapshot) -> Snapshot {
    let pin = Pin {
        role: "editor".to_owned(),
        on,
        until: None,
    };
    Snapshot {
        pins: vec![pin],
        ..snapshot
    }
}

#[test]
fn a_pin_outweighs_the_rule_and_a_suppression() {
    let by_hand = Assignment {
        adopted: false,
        ..assigned(true)
    };
    let suppressed = Assignment {
        suppressed: true,
        has_role: false,
        ..assigned(true)
    };
    for (case, snapshot, expected) in [
        (
            "on, unknown",
            pinned(true, snapshot(0)),
            (true, false, false, Some(RoleChange::Granted)),
        ),
        (
            "on, has_role and not earned",
            pinned(true, with(0, assigned(true))),
            (true, true, true, None),
        ),
        (
            "on, given by another client",
            pinned(true, with(0, by_hand.clone())),
            (true, false, true, None),
        ),
        (
            "on, left removed before",
            pinned(true, with(100, suppressed)),
            (true, true, false, Some(RoleChange::Granted)),
        ),
        (
            "off, earned",
            pinned(false, with(100, assigned(true))),
            (false, true, false, Some(RoleChange::Revoked)),
        ),
        (
            "off, given by another client",
            pinned(false, with(0, by_hand)),
            (false, true, false, Some(RoleChange::Revoked)),
        ),
        (
            "off, never has_role",
            pinned(false, snapshot(100)),
            (false, true, true, None),
        ),
    ] {
        assert_eq!(editor(snapshot), expected, "{case}");
    }
}

/// The rule's own decision goes on beneath the pin, so that it stands when the pin ends.
#[test]
fn a_pin_ends_by_itself_and_the_rule_decides_as_before() {
    let until = NOON + time::Duration::hours(1);
    let snapshot = |now| {
        let mut snapshot = pinned(true, snapshot(90));
        snapshot.pins[0].until = Some(until);
        snapshot.facts.now = now;
        snapshot
    };
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let during = Evaluation::of(snapshot(NOON), &rules);
    assert_eq!(during.again_at(), Some(until));
    assert!(during.roles[0].wanted() && !during.roles[0].decision.wanted && !during.ended_pins);
    let after = Evaluation::of(snapshot(until), &rules);
    assert_eq!(after.again_at(), None);
    assert!(!after.roles[0].wanted() && after.ended_pins);
}

#[test]
fn neither_brake_nor_loss_is_asked_about_a_pinned_role() {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let loss = Snapshot {
        loss: true,
        ..pinned(false, with(100, assigned(true)))
    };
    let evaluation = Evaluation::of(loss, &rules);
    assert!(evaluation.is_pinned("editor") && !evaluation.is_pinned("curator"));
    assert!(!evaluation.expects(RoleChange::Revoked) && !evaluation.allows(RoleChange::Revoked));
    assert!(!evaluation.wants()[0].wanted);
}

#[test]
fn a_pinned_role_is_granted_again_whatever_the_policy() {
    let rules = rules(OnExternalRemoval::Alert, Revoke::On);
    let mut evaluation = Evaluation::of(pinned(true, with(100, assigned(true))), &rules);
    let removed = evaluation.externally_removed(&SeenRoles::Missing);
    assert_eq!(removed, [("editor", OnExternalRemoval::Restore)]);
    assert!(evaluation.roles[0].wanted());
    let back = Assignment {
        has_role: false,
        ..assigned(true)
    };
    let mut evaluation = Evaluation::of(pinned(false, with(100, back)), &rules);
    evaluation.doubt("editor", true);
    assert_eq!(
        evaluation.left_open(),
        [""; 0],
        "a pinned role waits for no record"
    );
}

#[test]
fn a_forbidden_role_is_not_granted_by_a_pin() {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let mut evaluation = Evaluation::of(pinned(true, snapshot(0)), &rules);
    evaluation.forbid(&ForbiddenRoles::parse("editor"));
    assert!(evaluation.wants().iter().all(|want| want.role != "editor"));
}
