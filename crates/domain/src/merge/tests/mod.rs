//! Single races by example, and a tenant where two clients write at random.

mod random;

use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const OWNED: [&str; 1] = ["editor"];
const NONE: BTreeSet<Pair> = BTreeSet::new();

/// `ms` after a noon: roles separated by spaces.
fn at(ms: i64, roles: &str) -> State {
    State {
        at: datetime!(2026-11-23 12:00 UTC) + Duration::milliseconds(ms),
        roles: roles.split_whitespace().map(str::to_owned).collect(),
    }
}

fn ours(read: State, wrote: State) -> OurWrite {
    OurWrite {
        window: Some(Window::between(read.at, wrote.at)),
        read,
        wrote,
        managed: vec![],
        resolved_since: None,
        recorded: true,
    }
}

fn resolved(ours: &[OurWrite], theirs: &[State], seen: &State) -> Resolution {
    resolve(
        &Known {
            ours,
            theirs,
            settled: &NONE,
            owned: &OWNED,
        },
        seen,
    )
}

fn restores(ours: &[OurWrite], theirs: &[State], seen: &State) -> Option<String> {
    resolved(ours, theirs, seen)
        .restored_roles
        .map(|roles| roles.join(" "))
}

#[test]
fn what_they_wrote_between_our_read_and_our_write_comes_back() {
    for (read, theirs, wrote, restored_roles) in [
        ("x", "x y", "x editor", Some("y x editor")),
        ("x y", "y", "x y editor", Some("y editor")),
        ("x y", "y z", "x y editor", Some("z y editor")),
        ("x editor", "x editor y", "x", Some("y x")),
        ("x", "", "x editor", Some("editor")),
        ("x", "x", "x editor", None),
        // Duplicates of other clients stay; a restored entry appears once.
        ("x x", "x x y y", "x x editor", Some("y x x editor")),
        ("x x", "x", "x x editor", None),
        // The managed role is left to the plan.
        ("x", "x editor", "x editor", None),
        ("x editor", "x", "x", None),
    ] {
        let write = ours(at(0, read), at(20, wrote));
        let resolution = resolved(&[write], &[at(10, theirs)], &at(20, wrote));
        assert_eq!(resolution.races, [(0, 0)], "{read:?} {theirs:?}");
        assert!(resolution.consistent);
        assert_eq!(
            resolution.restored_roles.map(|roles| roles.join(" ")).as_deref(),
            restored_roles,
            "{read:?} {theirs:?}"
        );
    }
}

#[test]
fn a_write_outside_our_window_is_no_race() {
    let write = ours(at(10, "x y"), at(20, "x y editor"));
    for (theirs, seen) in [
        (at(10, "x y"), at(20, "x y editor")),
        (at(5, "x"), at(20, "x y editor")),
        (at(21, "x editor"), at(21, "x editor")),
    ] {
        let resolution = resolved(std::slice::from_ref(&write), &[theirs], &seen);
        assert_eq!(
            (resolution.races, resolution.restored_roles),
            (vec![], None),
            "{seen:?}"
        );
    }
}

/// The rules named `beta` at our write, and no longer do.
#[test]
fn what_we_changed_as_managed_is_ours_under_later_rules() {
    for (read, theirs, wrote, restored_roles) in [
        ("vip beta", "vip beta extra", "vip", "extra vip"),
        ("vip", "vip extra", "vip beta", "extra vip beta"),
    ] {
        let write = OurWrite {
            managed: vec!["beta".to_owned()],
            ..ours(at(0, read), at(20, wrote))
        };
        let raced = restores(std::slice::from_ref(&write), &[at(10, theirs)], &at(20, wrote));
        assert_eq!(raced.as_deref(), Some(restored_roles));
        let repair = OurWrite {
            resolved_since: Some(at(0, "").at),
            ..ours(at(20, wrote), at(40, restored_roles))
        };
        let later = restores(&[write, repair], &[at(10, theirs)], &at(40, restored_roles));
        assert_eq!(later, None, "{restored_roles}");
    }
}

/// The maximum number of writes considered, with the maximum number of roles read from the table.
#[test]
fn a_resolution_compares_a_bounded_number_of_roles() {
    let list = |from: usize, roles: usize| -> String {
        let names: Vec<String> = (from..from + roles).map(|role| format!("r{role}")).collect();
        names.join(" ")
    };
    let writes = |ms: i64| ours(at(ms, ""), at(ms + 1, "editor"));
    for (writers, roles) in [(200, 50), (20, 500), (2, 80_000)] {
        let ours: Vec<OurWrite> = (0..100).map(|n| writes(n * 300)).collect();
        let theirs: Vec<State> = (0..writers)
            .map(|n| at(150 * i64::try_from(n).expect("few"), &list(n * 7, roles)))
            .collect();
        let seen = at(30_000, &list(0, roles));
        let known = Known {
            ours: &ours,
            theirs: &theirs,
            settled: &NONE,
            owned: &OWNED,
        };
        let sanitized = Sanitized::of(&known, &seen);
        sanitized.versions(at(0, "").at, &seen);
        let most = MOST_COMPARED + 4 * roles;
        assert!(
            sanitized.compared.get() <= most,
            "{writers}: {}",
            sanitized.compared.get()
        );
    }
}

#[test]
fn a_write_outside_our_responses_restores_nothing() {
    let days = |days: i64| days * 24 * 3_600_000;
    for window in [
        None,
        Some(Window::between(at(days(6), "").at, at(days(6), "").at)),
    ] {
        let write = OurWrite {
            window,
            ..ours(at(0, "x"), at(days(6), "x editor"))
        };
        let resolution = resolved(&[write], &[at(days(3), "x admin")], &at(days(6), "x editor"));
        assert_eq!(
            (resolution.races, resolution.suspected, resolution.restored_roles),
            (vec![], vec![(0, 0)], None)
        );
    }
}

#[test]
fn a_record_dated_ahead_is_no_race() {
    let write = ours(at(0, "x"), at(20, "x editor"));
    let resolution = resolved(&[write], &[at(3_600_000, "x admin")], &at(20, "x editor"));
    assert_eq!(
        (resolution.races, resolution.suspected, resolution.restored_roles),
        (vec![], vec![(0, 0)], None)
    );
}

#[test]
fn a_write_without_a_record_stops_the_resolution() {
    let write = ours(at(0, "x"), at(20, "x editor"));
    let resolution = resolved(&[write], &[at(10, "x y")], &at(30, "x editor z"));
    assert_eq!(
        (resolution.races, resolution.consistent, resolution.restored_roles),
        (vec![(0, 0)], false, None)
    );
}

#[test]
fn a_later_write_of_theirs_is_read_against_what_it_rests_on() {
    let write = ours(at(0, "x"), at(20, "x editor"));
    let write = std::slice::from_ref(&write);
    // Their write has our change: they had read ours, and did not know that y was lost.
    let theirs = [at(10, "x y"), at(30, "x editor z")];
    assert_eq!(
        restores(write, &theirs, &theirs[1]).as_deref(),
        Some("y x editor z")
    );
    // Their write lacks our change: they had read their own, and removed y on purpose.
    let theirs = [at(10, "x y"), at(30, "x z")];
    assert_eq!(restores(write, &theirs, &theirs[1]), None);
    let theirs = [at(10, "x y"), at(30, "x y z")];
    assert_eq!(restores(write, &theirs, &theirs[1]), None);
}

#[test]
fn a_write_that_undoes_our_mending_undone_is_mended_again() {
    let writes = [
        ours(at(0, "x"), at(20, "x editor")),
        ours(at(20, "x editor"), at(40, "x editor y")),
    ];
    let theirs = [at(10, "x y"), at(50, "x editor z")];
    assert_eq!(
        restores(&writes, &theirs, &theirs[1]).as_deref(),
        Some("y x editor z")
    );
    let settled = BTreeSet::from([(0, 0)]);
    let known = Known {
        ours: &writes,
        theirs: &theirs,
        settled: &settled,
        owned: &OWNED,
    };
    let resolution = resolve(&known, &theirs[1]);
    assert!(resolution.races.is_empty() && resolution.restored_roles.is_some());
    // Removed after they saw it restored, it stays removed.
    let theirs = [at(10, "x y"), at(50, "x editor")];
    assert_eq!(restores(&writes, &theirs, &theirs[1]), None);
}

#[test]
fn two_others_who_overwrite_each_other_are_left_to_themselves() {
    let write = ours(at(0, "x"), at(20, "x editor"));
    let theirs = [at(30, "x editor y"), at(40, "x z")];
    assert_eq!(restores(&[write], &theirs, &theirs[1]), None);
}

#[test]
fn a_stale_write_is_told_from_a_meant_one() {
    let reverted = |write: &OurWrite, theirs: State| {
        resolved(
            std::slice::from_ref(write),
            std::slice::from_ref(&theirs),
            &theirs,
        )
        .reverted
    };
    let none = [""; 0];
    let revoke = ours(at(0, "x editor"), at(20, "x"));
    assert_eq!(reverted(&revoke, at(30, "x editor y")), ["editor"]);
    assert_eq!(reverted(&revoke, at(30, "x editor")), none, "granted on purpose");
    assert_eq!(
        reverted(&revoke, at(10 * 60_000, "x editor y")),
        none,
        "long after"
    );
    assert_eq!(reverted(&revoke, at(30, "x y")), none);
    let grant = ours(at(0, "x"), at(20, "x editor"));
    assert_eq!(reverted(&grant, at(30, "x y")), ["editor"]);
    assert_eq!(reverted(&grant, at(30, "x")), none, "removed on purpose");
    assert_eq!(reverted(&grant, at(30, "x y editor")), none);
}

#[test]
fn an_overtaken_attempt_is_undone() {
    let late = |read: &str, wrote: &str| OurWrite {
        recorded: false,
        ..ours(at(0, read), at(50, wrote))
    };
    let made = |before: &[OurWrite], late: OurWrite, theirs: &[State], seen: &str| {
        let all = [before, &[late]].concat();
        let late = resolved(&all, theirs, &at(50, seen)).late;
        late.into_iter().map(|(role, _)| role).collect::<Vec<_>>()
    };
    let none = [""; 0];
    assert_eq!(made(&[], late("x", "x editor"), &[], "x editor"), ["editor"]);
    assert_eq!(made(&[], late("x editor", "x"), &[], "x"), ["editor"]);
    // Granted and revoked meanwhile by the attempt that overtook it.
    let meanwhile = [
        ours(at(0, "x"), at(20, "x editor")),
        ours(at(20, "x editor"), at(40, "x")),
    ];
    assert_eq!(
        made(&meanwhile, late("x", "x editor"), &[], "x editor"),
        ["editor"]
    );
    // It only repeated the change of that attempt.
    assert_eq!(
        made(&meanwhile[..1], late("x", "x editor"), &[], "x editor"),
        none
    );
    // Another client granted it before our write.
    let by_hand = [at(45, "x editor")];
    assert_eq!(
        made(&meanwhile, late("x", "x editor"), &by_hand, "x editor"),
        none
    );
    // Once recorded, the role follows the records.
    let recorded = OurWrite {
        recorded: true,
        ..late("x", "x editor")
    };
    assert_eq!(made(&[], recorded, &[], "x editor"), none);
}

#[test]
fn the_next_read_tells_writes_of_one_millisecond_apart() {
    let write = ours(at(0, "x"), at(20, "x editor"));
    let theirs = at(20, "x y");
    assert_eq!(
        restores(
            std::slice::from_ref(&write),
            std::slice::from_ref(&theirs),
            &at(20, "x editor")
        )
        .as_deref(),
        Some("y x editor")
    );
    assert_eq!(
        restores(
            std::slice::from_ref(&write),
            std::slice::from_ref(&theirs),
            &at(20, "x y")
        ),
        None
    );
    // Our next write read it, and granted the managed role again.
    let next = ours(at(20, "x y"), at(40, "x y editor"));
    assert_eq!(restores(&[write, next], &[theirs], &at(40, "x y editor")), None);
}
