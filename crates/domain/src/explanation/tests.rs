//! The sentences of explanations, for single roles and states of the queue.

use time::macros::datetime;

use super::*;
use crate::pin::Pin;
use crate::rule::{Condition, Revoke, Rule, Shown};
use crate::snapshot::{Assignment, Facts};

const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const EARLIER: OffsetDateTime = datetime!(2026-11-23 11:00 UTC);
const LATER: OffsetDateTime = datetime!(2026-11-23 12:01 UTC);
const USER: &str = "auth0|ann";

/// Granted at 100 plays, revoked below 50.
fn rule() -> Rule {
    Rule {
        revoke_below: 50,
        ..Rules::default().as_slice()[0].clone()
    }
}

/// A user with plays in one playlist; the role is held or not, as the last decision wanted it, or was never read.
fn stored(rule: Rule, plays: i64, held: Option<bool>) -> Stored {
    let facts = Facts {
        best: plays,
        total: plays,
        now: NOON,
    };
    let mut snapshot = Snapshot::of_facts(facts);
    snapshot.assignments.extend(held.map(|held| Assignment {
        role: rule.role.clone(),
        wanted: held,
        has_role: held,
        adopted: held,
        since: EARLIER,
        below_since: None,
        suppressed: false,
        fresh: true,
    }));
    let in_force = InForce {
        version: 3,
        since: EARLIER,
        put_by: None,
    };
    Stored {
        asked_for: USER.to_owned(),
        ids: vec![],
        in_force: Some((Rules::checked(vec![rule]).unwrap(), in_force)),
        snapshot,
        verified: vec![],
        account: None,
        playlists: Playlists::default(),
        queue: vec![],
        pins: vec![],
        last_changes: vec![],
        decisions: empty(),
        writes: empty(),
        system: System::default(),
    }
}

fn empty<T>() -> Page<T> {
    Page {
        rows: vec![],
        more: false,
    }
}

fn explained(stored: Stored) -> Explanation {
    Explanation::of(stored, &ForbiddenRoles::parse(""))
}

/// The first role: held, due, the change, and all sentences in one text.
fn role(stored: Stored) -> (Option<bool>, bool, Option<RoleChange>, String) {
    let role = explained(stored).roles.remove(0);
    (role.holds, role.should_hold, role.pending, role.why.join(" "))
}

#[test]
fn a_count_explains_the_rule() {
    let never = || Rule {
        revoke: Revoke::Never,
        ..rule()
    };
    let (granted, revoked) = (Some(RoleChange::Granted), Some(RoleChange::Revoked));
    for (rule, plays, held, due, change, said) in [
        (rule(), 100, None, true, granted, "role is to be granted."),
        (rule(), 120, Some(true), true, None, "gives the role. So nothing"),
        (rule(), 60, Some(true), true, None, "the rule keeps the role."),
        (rule(), 60, Some(false), false, None, "does not hold the role"),
        (rule(), 99, None, false, None, "the role before 100 plays."),
        (rule(), 49, Some(true), false, revoked, "lacks 51 plays, so"),
        (rule(), 0, None, false, None, "It is not known whether"),
        (never(), 0, Some(true), true, None, "never revokes a granted"),
    ] {
        let (holds, should, pending, why) = role(stored(rule, plays, held));
        let expected = (held, due, change);
        assert_eq!((holds, should, pending), expected, "{plays}: {why}");
        assert!(why.contains(said), "{plays} {held:?}: {why}");
    }
}

#[test]
fn a_role_that_is_kept_for_a_while_has_its_end() {
    let grace = Rule {
        grace: std::time::Duration::from_hours(24),
        ..rule()
    };
    let mut stored = stored(grace, 10, Some(true));
    stored.snapshot.assignments[0].below_since = Some(EARLIER);
    let explained = explained(stored);
    let role = &explained.roles[0];
    assert_eq!(role.changes_at, Some(datetime!(2026-11-24 11:00 UTC)));
    let said = "below 50 since 2026-11-23T11:00:00Z; grace and min_hold of the rule keep the role until 2026-11-24T11:00:00Z.";
    assert!(role.why.join(" ").contains(said), "{:?}", role.why);
}

#[test]
fn a_condition_is_named_that_is_not_met_or_not_known() {
    let verified = || Rule {
        only_if: vec![Condition::NotBlocked, Condition::EmailVerified],
        ..rule()
    };
    let shown = |blocked, email_verified| {
        Some(Shown {
            blocked,
            email_verified,
        })
    };
    for (shown, due, said) in [
        (
            None,
            false,
            "also requires not_blocked, email_verified, and no whole profile is stored",
        ),
        (
            shown(true, true),
            false,
            "does not meet not_blocked, so the rule does not give the role",
        ),
        (
            shown(false, true),
            true,
            "meets the conditions of the rule: not_blocked, email_verified. The count reaches 100",
        ),
    ] {
        let mut stored = stored(verified(), 100, None);
        stored.snapshot.shown = shown;
        let (_, should, _, why) = role(stored);
        assert_eq!(should, due, "{why}");
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn a_pin_decides_in_place_of_the_rule() {
    let mut stored = stored(rule(), 100, Some(true));
    let pin = Pin {
        role: rule().role,
        on: false,
        until: None,
    };
    stored.snapshot.pins.push(pin.clone());
    stored.pins.push(PinRow {
        user_id: USER.to_owned(),
        role: pin.role,
        on: false,
        until: None,
        at: EARLIER,
        by: "ops@host".to_owned(),
        why: "a ban\nticket 7".to_owned(),
    });
    let role = explained(stored).roles.remove(0);
    assert_eq!(
        (role.decided_by, role.by_rule, role.should_hold),
        ("pin", true, false)
    );
    let why = role.why.join(" ");
    assert!(
        why.contains("pinned at 2026-11-23T11:00:00Z by ops@host: a ban ticket 7"),
        "{why}"
    );
}

#[test]
fn a_role_that_rolekeeper_may_not_change_stays() {
    let mut unadopted = stored(rule(), 0, Some(true));
    unadopted.snapshot.assignments[0].adopted = false;
    let (_, should, pending, why) = role(unadopted);
    assert_eq!((should, pending), (false, None));
    assert!(
        why.contains("rolekeeper adopt --role playlist_editor --user 'auth0|ann'"),
        "{why}"
    );

    let stored = stored(rule(), 100, None);
    let forbidden = Explanation::of(stored, &ForbiddenRoles::parse("Playlist_Editor"));
    let role = &forbidden.roles[0];
    assert_eq!(
        (role.decided_by, role.should_hold, role.pending),
        ("forbidden", false, None)
    );
}

fn queued() -> Queued {
    Queued {
        user_id: USER.to_owned(),
        priority: 1,
        enqueued_at: EARLIER,
        due_at: EARLIER,
        lease_until: None,
        attempts: 0,
        last_error: None,
        failed_at: None,
        parked_at: None,
        held_by: None,
        last_held_by: None,
        cause: None,
    }
}

/// The sentences about the queue, for an entry with this difference.
fn waits(differs: impl FnOnce(&mut Queued)) -> String {
    let (mut stored, mut entry) = (stored(rule(), 100, None), queued());
    differs(&mut entry);
    stored.queue.push(entry);
    explained(stored).waits.join(" ")
}

#[test]
fn each_state_of_the_queue_has_its_sentence() {
    let due = waits(|_| {});
    assert!(due.ends_with("(a role may have to be granted), and due since 2026-11-23T11:00:00Z."));
    let in_flight = waits(|entry| entry.lease_until = Some(LATER));
    assert!(in_flight.contains("has an attempt in flight; its lease ends at 2026-11-23T12:01:00Z."));
    let lost = waits(|entry| entry.lease_until = Some(EARLIER));
    assert!(lost.contains("lost an attempt, whose lease ended at 2026-11-23T11:00:00Z"));
    let timer = waits(|entry| (entry.enqueued_at, entry.due_at) = (LATER, LATER));
    assert!(timer.contains("is decided again at 2026-11-23T12:01:00Z"));
    let parked = waits(|entry| entry.parked_at = Some(EARLIER));
    assert!(parked.contains("is parked since 2026-11-23T11:00:00Z") && parked.contains("requeue"));
    let lossy = waits(|entry| entry.held_by = Some("stream_loss".to_owned()));
    assert!(lossy.contains("is held by the loss of a stream"), "{lossy}");
    let held = waits(|entry| entry.held_by = Some("brake_both".to_owned()));
    assert!(held.contains("brake release grants") && held.contains("brake drop revokes"));
    let none = explained(stored(rule(), 100, None)).waits.join(" ");
    assert!(none.contains("not in the work queue") && none.contains("The sweep"));
}

#[test]
fn a_failed_attempt_has_its_error_in_one_line() {
    let failed = waits(|entry| {
        (entry.attempts, entry.due_at, entry.failed_at) = (3, LATER, Some(EARLIER));
        entry.last_error = Some("Auth0: 500\n\u{1b}[2J".to_owned());
    });
    assert!(failed.contains("the next attempt begins at 2026-11-23T12:01:00Z at the earliest."));
    let said = "Failed attempts in a row: 3, the last one at 2026-11-23T11:00:00Z: Auth0: 500  [2J";
    assert!(failed.ends_with(said), "{failed}");
}

#[test]
fn only_a_brake_that_concerns_the_user_is_named() {
    for (plays, held, named) in [(0, Some(true), true), (0, Some(false), false), (100, None, false)] {
        let mut stored = stored(rule(), plays, held);
        stored.system = System {
            worker_alive: true,
            brakes: vec![EngagedBrake {
                changes: "revokes",
                since: EARLIER,
            }],
            ..System::default()
        };
        let obstacles = explained(stored).obstacles;
        assert_eq!(obstacles.len(), usize::from(named), "{obstacles:?}");
    }
}
