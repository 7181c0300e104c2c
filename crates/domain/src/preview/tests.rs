//! Previews of single users, the facts that make a plan stale, and the plan file.

use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::file::{Header, Named, Reader, VERSION, Writer};
use super::*;
use crate::pin::Pin;
use crate::rule::{Condition, Rule};
use crate::snapshot::{Assignment, Facts, OpenChange};

const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const ROLE: &str = "playlist_editor";
const ANN: &str = "auth0|ann";

/// Granted at 100 plays, revoked below 80.
fn rules(change: impl FnOnce(&mut Rule)) -> Rules {
    let mut rule = Rule {
        revoke_below: 80,
        ..Rules::default().as_slice()[0].clone()
    };
    change(&mut rule);
    Rules::checked(vec![rule]).unwrap()
}

/// A user with plays, who holds the role from us or does not; or whose profile was never read.
fn user(plays: i64, holds: Option<bool>) -> Snapshot {
    let mut snapshot = Snapshot::of_facts(Facts {
        best: plays,
        total: plays,
        now: NOON,
    });
    snapshot.assignments.extend(holds.map(|holds| Assignment {
        role: ROLE.to_owned(),
        wanted: holds,
        has_role: holds,
        adopted: holds,
        since: NOON,
        below_since: None,
        suppressed: false,
        fresh: true,
    }));
    snapshot
}

fn previewed(rules: &Rules, snapshot: &Snapshot, beside: &Beside) -> Previewed {
    let forbidden = ForbiddenRoles::parse("none");
    let asked = Asked {
        rules,
        in_force: None,
        forbidden: &forbidden,
    };
    of_user(&asked, ANN, snapshot, beside)
}

/// The one change, its reason and its marks.
fn change(previewed: &Previewed) -> Option<(RoleChange, &str, &[Mark])> {
    let change = previewed.changes.as_ref()?.changes.first()?;
    Some((change.change, &change.why, &change.marks))
}

#[test]
fn a_change_follows_from_count_and_held_role() {
    use RoleChange::{Granted, Revoked};
    for (plays, holds, expected) in [
        (100, None, Some((Granted, "100 plays, at least 100"))),
        (100, Some(false), Some((Granted, "100 plays, at least 100"))),
        (100, Some(true), None),
        (79, Some(true), Some((Revoked, "79 plays, below 80"))),
        (80, Some(true), None),
        (99, None, None),
    ] {
        let previewed = previewed(&rules(|_| ()), &user(plays, holds), &Beside::default());
        let found = change(&previewed).map(|(change, why, _)| (change, why));
        assert_eq!(found, expected, "{plays} {holds:?}");
        assert_eq!(previewed.left, vec![]);
    }
}

#[test]
fn a_role_in_the_stored_profile_is_not_granted_again() {
    let beside = Beside {
        roles: vec![ROLE.to_owned()],
        ..Beside::default()
    };
    assert_eq!(
        change(&previewed(&rules(|_| ()), &user(100, None), &beside)),
        None
    );
    let below = previewed(&rules(|_| ()), &user(7, None), &beside);
    assert_eq!(below.left, [(ROLE.to_owned(), Left::Unadopted)]);
}

#[test]
fn marks_say_what_the_evaluation_knows() {
    let pin = Pin {
        role: ROLE.to_owned(),
        on: true,
        until: None,
    };
    let open = OpenChange {
        id: Uuid::nil(),
        role: ROLE.to_owned(),
        granted: false,
        restore: false,
    };
    let (mut pinned, mut braked, mut lost, mut sent) = (
        user(7, Some(false)),
        user(7, Some(true)),
        user(7, Some(true)),
        user(7, Some(true)),
    );
    pinned.pins.push(pin);
    pinned.engaged = vec![RoleChange::Granted];
    braked.engaged = vec![RoleChange::Revoked];
    lost.loss = true;
    sent.open.push(open);
    let flapping = Beside {
        parked: true,
        changed: vec![(ROLE.to_owned(), RoleChange::Granted)],
        ..Beside::default()
    };
    let none = Beside::default();
    for (snapshot, beside, marks) in [
        (pinned, &none, &[Mark::Pinned][..]),
        (braked, &none, &[Mark::HeldByBrake]),
        (lost, &none, &[Mark::HeldByLoss]),
        (sent, &none, &[Mark::InFlight]),
        (user(7, Some(true)), &flapping, &[Mark::WouldFlap, Mark::Parked]),
        (user(100, Some(false)), &flapping, &[Mark::Parked]),
    ] {
        let previewed = previewed(&rules(|_| ()), &snapshot, beside);
        assert_eq!(change(&previewed).unwrap().2, marks);
    }
}

#[test]
fn a_role_that_stays_has_its_reason() {
    let grace = rules(|rule| rule.grace = std::time::Duration::from_mins(1));
    let conditional = rules(|rule| rule.only_if = vec![Condition::NotBlocked]);
    let (mut gone, mut by_hand) = (user(100, Some(false)), user(7, Some(true)));
    gone.gone_at = Some(NOON);
    by_hand.assignments[0].adopted = false;
    for (rules, snapshot, left) in [
        (rules(|_| ()), gone, Left::Gone),
        (rules(|_| ()), by_hand, Left::Unadopted),
        (grace, user(7, Some(true)), Left::Kept),
        (conditional, user(100, Some(true)), Left::ProfileUnknown),
    ] {
        let previewed = previewed(&rules, &snapshot, &Beside::default());
        assert_eq!(previewed.changes, None);
        assert_eq!(previewed.left, [(ROLE.to_owned(), left)]);
    }
}

#[test]
fn a_change_that_is_due_under_the_rules_in_force_is_marked() {
    let (lower, in_force) = (
        rules(|rule| (rule.grant_at, rule.revoke_below) = (50, 50)),
        rules(|_| ()),
    );
    let forbidden = ForbiddenRoles::parse("none");
    let asked = Asked {
        rules: &lower,
        in_force: Some(&in_force),
        forbidden: &forbidden,
    };
    for (plays, marks) in [(60, &[][..]), (120, &[Mark::DueAlready])] {
        let previewed = of_user(&asked, ANN, &user(plays, None), &Beside::default());
        assert_eq!(change(&previewed).unwrap().2, marks, "{plays}");
    }
}

#[test]
fn a_plan_is_stale_with_other_facts_and_done_with_the_role() {
    let rules = rules(|_| ());
    let before = user(100, None);
    let planned = previewed(&rules, &before, &Beside::default()).changes.unwrap();
    let (mut decided, mut pinned, mut linked) = (user(100, Some(false)), before.clone(), before.clone());
    decided.assignments[0].wanted = true;
    decided.assignments[0].fresh = false;
    pinned.pins.push(Pin {
        role: ROLE.to_owned(),
        on: false,
        until: None,
    });
    linked.person.aliases.push("google|ann".to_owned());
    for (now, expected) in [
        (before, Standing::Valid),
        // An attempt has decided, and has not written yet.
        (decided, Standing::Valid),
        (user(101, None), Standing::Stale),
        (user(99, None), Standing::Stale),
        (pinned, Standing::Stale),
        (linked, Standing::Stale),
        (user(100, Some(true)), Standing::Done),
    ] {
        assert_eq!(stands(&planned, &rules, &now, None), expected, "{now:?}");
    }
}

/// The standing, where the worker has read the profile at this time; it decides by the rules since noon.
fn stands(
    planned: &UserChanges,
    rules: &Rules,
    snapshot: &Snapshot,
    read_at: Option<OffsetDateTime>,
) -> Standing {
    let forbidden = ForbiddenRoles::parse("none");
    let asked = Asked {
        rules,
        in_force: None,
        forbidden: &forbidden,
    };
    let beside = Beside {
        read_at,
        ..Beside::default()
    };
    standing(planned, &asked, snapshot, &beside, Some(NOON))
}

#[test]
fn a_read_since_the_plan_settles_what_it_decided_otherwise() {
    let rules = rules(|_| ());
    let planned = previewed(&rules, &user(100, None), &Beside::default())
        .changes
        .unwrap();
    let (mut gone, later) = (user(100, None), Some(NOON + time::Duration::SECOND));
    gone.gone_at = later;
    assert_eq!(stands(&planned, &rules, &gone, later), Standing::Done);
    assert_eq!(stands(&planned, &rules, &gone, Some(NOON)), Standing::Stale);
    gone.facts.best = 101;
    assert_eq!(stands(&planned, &rules, &gone, later), Standing::Stale);
}

#[test]
fn changes_that_do_not_follow_from_the_facts_are_stale() {
    let rules = rules(|_| ());
    let mut planned = previewed(&rules, &user(100, None), &Beside::default())
        .changes
        .unwrap();
    planned.changes[0].change = RoleChange::Revoked;
    assert_eq!(stands(&planned, &rules, &user(100, None), None), Standing::Stale);
}

#[test]
fn a_moved_id_counts_for_the_user_before_it_is_linked() {
    let rules = rules(|_| ());
    let moved = [("auth0|old".to_owned(), user(90, Some(true)))];
    for (roles, expected) in [(&[][..], Some(RoleChange::Granted)), (&[ROLE.to_owned()], None)] {
        let joined = with_moved(&rules, user(7, None), roles, &moved);
        let previewed = previewed(&rules, &joined, &Beside::default());
        assert_eq!(change(&previewed).map(|(change, ..)| change), expected);
    }
}

#[test]
fn the_summary_counts_kinds_and_names_the_first() {
    let mut summary = Summary::default();
    for plays in [100, 110, 120, 130, 7] {
        summary.add(&previewed(&rules(|_| ()), &user(plays, None), &Beside::default()));
    }
    summary.add(&previewed(
        &rules(|_| ()),
        &user(7, Some(true)),
        &Beside::default(),
    ));
    let shown: Vec<(u64, usize)> = summary
        .kinds
        .values()
        .map(|shown| (shown.users, shown.first.len()))
        .collect();
    assert_eq!((summary.users, shown), (5, vec![(4, 3), (1, 1)]));
    assert_eq!(summary.asking(RoleChange::Granted), 4);
    let limits = crate::brake::Limits {
        number: 3,
        share: 0.5,
    };
    assert!(summary.engages(RoleChange::Granted, limits, 2));
    assert!(!summary.engages(RoleChange::Granted, limits, 100));
}

/// The lines of a plan of two users.
fn plan_file() -> Vec<String> {
    let header = Header {
        rolekeeper_plan: VERSION,
        made_at: NOON,
        release: "0.1.0".to_owned(),
        tenant: Some("t.eu.auth0.com".to_owned()),
        in_force: Named {
            version: 1,
            fingerprint: "ab".to_owned(),
        },
        proposed: None,
        user: None,
        import: None,
    };
    let planned = previewed(&rules(|_| ()), &user(100, None), &Beside::default());
    let ann = planned.changes.unwrap();
    let bob = UserChanges {
        user: "auth0|bob".to_owned(),
        ..ann.clone()
    };
    let mut writer = Writer::default();
    let mut lines = vec![writer.header(&header), writer.user(&ann), writer.user(&bob)];
    lines.push(writer.end());
    lines
}

/// The users of a file, or its fault.
fn read(lines: &[String]) -> Result<Vec<String>, String> {
    let mut reader = Reader::default();
    let mut users = Vec::new();
    let (first, rest) = lines.split_first().unwrap();
    reader.header(first)?;
    for line in rest {
        users.extend(reader.user(line)?.map(|user| user.user));
    }
    reader.end()?;
    Ok(users)
}

#[test]
fn a_whole_plan_file_is_read_back() {
    assert_eq!(
        read(&plan_file()),
        Ok(vec![ANN.to_owned(), "auth0|bob".to_owned()])
    );
}

#[test]
fn a_faulty_plan_file_is_refused_with_line_and_field() {
    let with = |at: usize, from: &str, to: &str| {
        let mut lines = plan_file();
        assert!(lines[at].contains(from), "{}", lines[at]);
        lines[at] = lines[at].replace(from, to);
        lines
    };
    let without = |at: usize| {
        let mut lines = plan_file();
        lines.remove(at);
        lines
    };
    for (lines, fault) in [
        (vec!["[[rule]]".to_owned()], "line 1: not a plan of rolekeeper"),
        (
            with(0, ":1,", ":2,"),
            "line 1: rolekeeper_plan: the plan has format 2",
        ),
        (
            with(0, "\"version\":1", "\"version\":\"x\""),
            "line 1: in_force.version: invalid type",
        ),
        (
            with(1, "\"granted\"", "\"given\""),
            "line 2: changes[0].change: unknown variant",
        ),
        (
            with(1, ANN, "auth0|\\u0007"),
            "line 2: user: expected 1 to 255 bytes",
        ),
        (with(1, ANN, "auth0|zoe"), "line 3: user: expected an id after"),
        (
            with(1, "100 plays", "101 plays"),
            "line 4: end.sha256: the lines before it were changed",
        ),
        (with(2, "}]}", ""), "line 3: not JSON (EOF while parsing"),
        (
            without(1),
            "line 3: end.users: the plan had 2 users, and the file has 1",
        ),
        (without(3), "line 3: the file ends here"),
        (
            [plan_file(), plan_file()].concat(),
            "line 5: expected nothing after the end",
        ),
    ] {
        let why = read(&lines).unwrap_err();
        assert!(why.starts_with(fault), "{why}");
    }
}
