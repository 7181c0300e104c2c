//! The evaluation: tables of single roles, and properties over random snapshots.

mod conditions;
mod pins;
mod removals;

use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::pin::Pin;
use crate::plan::{SeenRoles, plan};
use crate::rule::Revoke;
use crate::snapshot::Assignment;

const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const ROLES: [&str; 3] = ["editor", "curator", "foreign"];

/// Rules for the first two roles: granted at 100 plays, revoked below 50.
fn rules(manual: OnExternalRemoval, revoke: Revoke) -> Rules {
    let rule = |role: &str, of| Rule {
        role: role.to_owned(),
        of,
        grant_at: 100,
        revoke_below: 50,
        manual,
        revoke,
        ..Rules::default().as_slice()[0].clone()
    };
    let rules = vec![
        rule("editor", Measure::BestPlaylist),
        rule("curator", Measure::AllPlaylists),
    ];
    Rules::checked(rules).unwrap()
}

/// A user with plays, and without any other stored data.
fn snapshot(plays: i64) -> Snapshot {
    Snapshot::of_facts(Facts {
        best: plays,
        total: plays,
        now: NOON,
    })
}

/// A verified role that rolekeeper granted, and that is as the last decision wanted it.
fn assigned(wanted: bool) -> Assignment {
    Assignment {
        role: "editor".to_owned(),
        wanted,
        has_role: wanted,
        adopted: wanted,
        since: NOON - time::Duration::hours(1),
        below_since: None,
        suppressed: false,
        fresh: true,
    }
}

fn opened(granted: bool) -> OpenChange {
    OpenChange {
        id: Uuid::nil(),
        role: "editor".to_owned(),
        granted,
        restore: false,
    }
}

/// The role editor of a snapshot: wanted, adopted, up to date, and the change that is due.
fn editor(snapshot: Snapshot) -> (bool, bool, bool, Option<RoleChange>) {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let evaluation = Evaluation::of(snapshot, &rules);
    let role = &evaluation.roles[0];
    (
        role.wanted(),
        role.adopted(),
        role.up_to_date(),
        role.pending_change(),
    )
}

fn with(plays: i64, assignment: Assignment) -> Snapshot {
    Snapshot {
        assignments: vec![assignment],
        ..snapshot(plays)
    }
}

#[test]
fn what_is_stored_of_a_role_decides_with_the_plays() {
    let stale = Assignment {
        fresh: false,
        ..assigned(true)
    };
    let unadopted = Assignment {
        adopted: false,
        ..assigned(true)
    };
    let kept_by_hand = Assignment {
        wanted: false,
        ..unadopted.clone()
    };
    let lost = Assignment {
        has_role: false,
        ..assigned(true)
    };
    let suppressed = Assignment {
        suppressed: true,
        has_role: false,
        ..assigned(true)
    };
    for (case, snapshot, expected) in [
        ("unknown, below", snapshot(99), (false, false, true, None)),
        (
            "unknown, earned",
            snapshot(100),
            (true, false, false, Some(RoleChange::Granted)),
        ),
        ("held", with(100, assigned(true)), (true, true, true, None)),
        (
            "held, between the thresholds",
            with(50, assigned(true)),
            (true, true, true, None),
        ),
        (
            "held, below",
            with(49, assigned(true)),
            (false, true, false, Some(RoleChange::Revoked)),
        ),
        ("not verified lately", with(100, stale), (true, true, false, None)),
        (
            "held, not ours, earned",
            with(100, unadopted),
            (true, false, false, None),
        ),
        (
            "held, not ours, not earned",
            with(0, kept_by_hand),
            (false, false, true, None),
        ),
        (
            "missing",
            with(100, lost),
            (true, true, false, Some(RoleChange::Granted)),
        ),
        ("suppressed", with(100, suppressed), (false, true, true, None)),
    ] {
        assert_eq!(editor(snapshot), expected, "{case}");
    }
}

#[test]
fn an_open_grant_counts_as_decided_and_ours() {
    let granting = |plays| Snapshot {
        open: vec![opened(true)],
        ..snapshot(plays)
    };
    assert_eq!(
        editor(granting(60)),
        (true, true, false, Some(RoleChange::Granted))
    );
    assert_eq!(editor(granting(40)), (false, true, true, None));
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    assert!(
        !Evaluation::of(granting(40), &rules).up_to_date(),
        "its result is unknown"
    );
}

#[test]
fn an_undone_revoke_leaves_the_role_ours() {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let found = Assignment {
        has_role: true,
        adopted: false,
        ..assigned(false)
    };
    let mut evaluation = Evaluation::of(with(0, found), &rules);
    assert!(!evaluation.allows(RoleChange::Revoked));
    evaluation.mark_reverted(&["editor".to_owned()]);
    assert!(evaluation.expects(RoleChange::Revoked));
}

#[test]
fn a_forbidden_role_is_never_granted_and_may_go() {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let forbidden = ForbiddenRoles::parse("editor,curator");
    let mut due = Evaluation::of(snapshot(100), &rules);
    due.forbid(&forbidden);
    assert!(!due.allows(RoleChange::Granted) && due.wants().is_empty());
    let mut over = Evaluation::of(with(0, assigned(true)), &rules);
    over.forbid(&forbidden);
    assert!(over.expects(RoleChange::Revoked));
    assert_eq!(over.wants().len(), 2);
}

#[test]
fn a_role_that_another_client_removed_is_restored_or_left() {
    for (manual, wanted) in [
        (OnExternalRemoval::Restore, true),
        (OnExternalRemoval::Alert, false),
    ] {
        let rules = rules(manual, Revoke::On);
        let mut evaluation = Evaluation::of(with(100, assigned(true)), &rules);
        assert_eq!(
            evaluation.externally_removed(&SeenRoles::Missing),
            [("editor", manual)]
        );
        assert_eq!(evaluation.roles[0].wanted(), wanted);
    }
}

#[test]
fn a_late_result_of_our_write_is_no_removal() {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let mut evaluation = Evaluation::of(with(100, assigned(true)), &rules);
    let seen = evaluation.done_late("editor", false).unwrap();
    assert!(seen.wanted && !seen.has_role && !seen.adopted && !seen.suppressed);
    assert!(evaluation.externally_removed(&SeenRoles::Missing).is_empty());
    assert_eq!(evaluation.done_late("foreign", true), None);
}

#[test]
fn a_doubtful_state_is_left_open_unless_restored_in_any_case() {
    for (manual, held_now, open) in [
        (OnExternalRemoval::Alert, false, vec!["editor".to_owned()]),
        (OnExternalRemoval::Restore, false, vec![]),
        (OnExternalRemoval::Alert, true, vec![]),
    ] {
        let rules = rules(manual, Revoke::On);
        let mut evaluation = Evaluation::of(with(100, assigned(true)), &rules);
        evaluation.doubt("editor", held_now);
        assert_eq!(evaluation.left_open(), open);
        assert_eq!(evaluation.wants().len(), 2 - open.len());
    }
}

#[test]
fn a_held_role_that_an_open_grant_explains_is_not_left_open() {
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    for (open, left_open) in [(vec![opened(true)], vec![]), (vec![], vec!["editor".to_owned()])] {
        let stored = Snapshot {
            open,
            ..with(40, assigned(false))
        };
        let mut evaluation = Evaluation::of(stored, &rules);
        evaluation.doubt("editor", true);
        assert_eq!(evaluation.left_open(), left_open);
    }
}

/// A loss holds revokes, but changes neither the decision nor what is due: the brake acts on it.
#[test]
fn a_loss_is_passed_on_and_decides_nothing() {
    let loss = Snapshot {
        loss: true,
        ..with(0, assigned(true))
    };
    let rules = rules(OnExternalRemoval::Restore, Revoke::On);
    let evaluation = Evaluation::of(loss.clone(), &rules);
    assert!(evaluation.loss && evaluation.expects(RoleChange::Revoked));
    assert_eq!(editor(loss), editor(with(0, assigned(true))));
}

prop_compose! {
    fn assignments()(role in 0..ROLES.len(), bits in any::<[bool; 5]>(), since in 0_i64..200, below in proptest::option::of(0_i64..200)) -> Assignment {
        let [wanted, has_role, adopted, suppressed, fresh] = bits;
        Assignment {
            role: ROLES[role].to_owned(),
            wanted,
            has_role,
            adopted,
            since: NOON - time::Duration::minutes(since),
            below_since: below.map(|minutes| NOON - time::Duration::minutes(minutes)),
            suppressed,
            fresh,
        }
    }
}

prop_compose! {
    fn snapshots()(
        best in 0_i64..150,
        more in 0_i64..150,
        mut assignments in proptest::collection::vec(assignments(), 0..4),
        open in proptest::collection::vec((0..ROLES.len(), any::<bool>(), any::<bool>()), 0..3),
    ) -> Snapshot {
        assignments.sort_by(|a, b| a.role.cmp(&b.role));
        assignments.dedup_by(|a, b| a.role == b.role);
        let open = open.into_iter().map(|(role, granted, restore)| OpenChange {
            id: Uuid::nil(),
            role: ROLES[role].to_owned(),
            granted,
            restore,
        });
        Snapshot {
            facts: Facts { best, total: best + more, now: NOON },
            assignments,
            open: open.collect(),
            ..snapshot(0)
        }
    }
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let manual = prop_oneof![
        Just(OnExternalRemoval::Restore),
        Just(OnExternalRemoval::Alert),
        Just(OnExternalRemoval::Respect)
    ];
    let revoke = prop_oneof![Just(Revoke::On), Just(Revoke::Never)];
    (manual, revoke).prop_map(|(manual, revoke)| rules(manual, revoke))
}

/// The roles that the snapshot says the profile has.
fn stored(snapshot: &Snapshot) -> SeenRoles {
    let has_role = snapshot.assignments.iter().filter(|one| one.has_role);
    SeenRoles::List(has_role.map(|one| one.role.clone()).collect())
}

proptest! {
    #[test]
    fn evaluating_twice_is_the_same(snapshot in snapshots(), rules in any_rules()) {
        prop_assert_eq!(Evaluation::of(snapshot.clone(), &rules), Evaluation::of(snapshot, &rules));
    }

    #[test]
    fn a_user_who_is_up_to_date_needs_no_call(snapshot in snapshots(), rules in any_rules()) {
        let seen = stored(&snapshot);
        let evaluation = Evaluation::of(snapshot, &rules);
        if evaluation.up_to_date() {
            prop_assert!(plan(&seen, &evaluation.wants()).unwrap().is_empty());
            prop_assert!(evaluation.roles.iter().all(|role| role.pending_change().is_none()));
        }
    }

    #[test]
    fn nothing_outside_the_rules_is_wanted_or_revoked(snapshot in snapshots(), rules in any_rules()) {
        let seen = stored(&snapshot);
        let evaluation = Evaluation::of(snapshot, &rules);
        let plan = plan(&seen, &evaluation.wants()).unwrap();
        prop_assert!(evaluation.wants().iter().all(|want| want.role != "foreign"));
        prop_assert_eq!(plan.roles_after().contains(&"foreign".to_owned()), seen.has("foreign"));
    }

    #[test]
    fn an_unadopted_role_is_never_revoked(snapshot in snapshots(), rules in any_rules()) {
        let seen = stored(&snapshot);
        let ours = |role: &str| {
            let adopted = snapshot.assignments.iter().any(|one| one.role == role && one.adopted);
            adopted || snapshot.open.iter().any(|open| open.role == role && open.granted && !open.restore)
        };
        let evaluation = Evaluation::of(snapshot.clone(), &rules);
        let plan = plan(&seen, &evaluation.wants()).unwrap();
        for (role, change) in plan.changes() {
            prop_assert!(*change == RoleChange::Granted || ours(role), "{} was not ours", role);
        }
        for role in evaluation.roles.iter().filter(|role| role.pending_change() == Some(RoleChange::Revoked)) {
            prop_assert!(ours(&role.rule.role));
        }
    }
}
