//! Rules at the line, over time, and in the file.

use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn rule(grant_at: i64, revoke_below: i64) -> Rule {
    Rule {
        role: "editor".to_owned(),
        grant_at,
        revoke_below,
        ..Rules::default().0.remove(0)
    }
}

/// Held since an hour before noon.
fn held(below_since: Option<OffsetDateTime>) -> Before {
    Before {
        wanted: true,
        since: NOON - Duration::from_hours(1),
        below_since,
    }
}

fn wanted(rule: &Rule, plays: i64, before: bool) -> bool {
    rule.decide(plays, before.then_some(&held(None)), NOON).wanted
}

#[test]
fn at_the_line() {
    let plain = rule(100, 100);
    assert!(!wanted(&plain, 99, false) && !wanted(&plain, 99, true));
    assert!(wanted(&plain, 100, false) && wanted(&plain, 101, true));
    let kept = rule(100, 90);
    assert!(
        !wanted(&kept, 99, false),
        "never granted on the way up before the line"
    );
    assert!(
        wanted(&kept, 99, true) && wanted(&kept, 90, true),
        "kept between the lines"
    );
    assert!(!wanted(&kept, 89, true));
}

#[test]
fn grace_and_hold_keep_a_role_and_say_until_when() {
    let minutes = |minutes| Duration::from_mins(minutes);
    let patient = Rule {
        grace: minutes(10),
        min_hold: minutes(90),
        ..rule(100, 100)
    };
    // Held for an hour, below only now: the hold ends in 30 minutes, the grace in 10.
    let first = patient.decide(99, Some(&held(None)), NOON);
    assert_eq!(
        first,
        Decision {
            wanted: true,
            below_since: Some(NOON),
            again_at: Some(NOON + minutes(30))
        }
    );
    // The grace counts from the first time below, not from each look.
    let later = patient.decide(99, Some(&held(first.below_since)), NOON + minutes(29));
    assert_eq!((later.wanted, later.below_since), (true, Some(NOON)));
    assert!(
        !patient
            .decide(99, Some(&held(first.below_since)), NOON + minutes(30))
            .wanted
    );
    // Back above the line, the clock starts anew.
    assert_eq!(
        patient
            .decide(100, Some(&held(Some(NOON))), NOON + minutes(5))
            .below_since,
        None
    );
    let keeper = Rule {
        revoke: Revoke::Never,
        ..rule(100, 100)
    };
    assert!(wanted(&keeper, 0, true) && !wanted(&keeper, 99, false));
}

#[test]
fn a_good_file_is_read() {
    let rules =
        Rules::parse("[[rule]]\nrole = \"playlist_editor\"\ngrant_at = 100\nrevoke_below = 100\n").unwrap();
    assert_eq!(rules, Rules::default());
    let full = Rules::parse(
        "[[rule]]\nrole=\"star\"\nof=\"all_playlists\"\ngrant_at=10\nrevoke_below=5\nmin_hold=\"7days\"\ngrace=\"90s\"\nrevoke=\"never\"\nmanual=\"alert\"\n",
    )
    .unwrap();
    let star = &full.as_slice()[0];
    assert_eq!(
        (star.of, star.revoke, star.manual),
        (Measure::AllPlaylists, Revoke::Never, Manual::Alert)
    );
    assert_eq!((star.min_hold.as_secs(), star.grace.as_secs()), (7 * 86_400, 90));
    assert!(full.need_totals() && !rules.need_totals());
}

#[test]
fn each_bad_file_names_the_fault() {
    let two = "[[rule]]\nrole=\"a\"\ngrant_at=1\nrevoke_below=1\n[[rule]]\nrole=\"a\"\ngrant_at=2\nrevoke_below=1\n";
    let with = |line: &str| format!("[[rule]]\nrole=\"a\"\ngrant_at=5\nrevoke_below=5\n{line}\n");
    for (text, part) in [
        (String::new(), "0 [[rule]]"),
        (
            "[[rule]]\nrole=\"a\"\ngrant_at=5\nrevoke_below=6\n".to_owned(),
            "grant_at (5) is below revoke_below (6)",
        ),
        (
            "[[rule]]\nrole=\"a\"\ngrant_at=-5\nrevoke_below=-6\n".to_owned(),
            "revoke_below: expected at least 1, got -6",
        ),
        (
            "[[rule]]\nrole=\"\"\ngrant_at=5\nrevoke_below=5\n".to_owned(),
            "role: expected",
        ),
        (with("colour=1"), "line 5: unknown field `colour`"),
        (with("grace=\"soon\""), "\"soon\" is no span of time"),
        (with("grace=\"-5s\""), "\"-5s\" is no span of time"),
        (with("min_hold=90"), "line 5: invalid type"),
        (with("revoke=\"off\""), "line 5: unknown variant `off`"),
        (
            "[[rule]]\nrole=\"a\"\ngrant_at=\"5\"\nrevoke_below=5\n".to_owned(),
            "line 3: invalid type",
        ),
        ("[[rule]]\nrole=\"a\"\nrevoke_below=5\n".to_owned(), "grant_at"),
        (two.to_owned(), "a second rule for the same role"),
    ] {
        let faults = Rules::parse(&text).unwrap_err().to_string();
        assert!(faults.contains(part), "{faults:?} lacks {part:?}");
    }
}

#[test]
fn the_fingerprint_follows_the_meaning() {
    let one = Rules(vec![
        rule(100, 90),
        Rule {
            role: "b".to_owned(),
            ..rule(5, 5)
        },
    ]);
    let turned = Rules(one.0.iter().rev().cloned().collect());
    assert_eq!(one.fingerprint(), turned.fingerprint());
    assert_ne!(one.fingerprint(), Rules(vec![rule(100, 91)]).fingerprint());
    let patient = Rules(vec![Rule {
        grace: Duration::from_secs(1),
        ..rule(100, 91)
    }]);
    assert_ne!(patient.fingerprint(), Rules(vec![rule(100, 91)]).fingerprint());
    assert_eq!(one.fingerprint().len(), 64);
}

proptest! {
    #[test]
    fn no_line_crossed_means_no_other_decision(
        low in 1i64..200, gap in 0i64..50, a in -5i64..300, b in -5i64..300, before: bool
    ) {
        let rules = Rules(vec![rule(low + gap, low)]);
        let only = &rules.as_slice()[0];
        let reached = |plays| rules.lines_reached(Measure::BestPlaylist, plays);
        if reached(a) == reached(b) {
            let decided = wanted(only, a, before);
            prop_assert_eq!(wanted(only, b, decided), decided);
        }
    }

    #[test]
    fn a_kept_role_goes_exactly_when_it_was_said(
        grace in 0u64..500, hold in 0u64..8000, plays in 0i64..100, at in 0u64..10_000
    ) {
        let rule = Rule { grace: Duration::from_secs(grace), min_hold: Duration::from_secs(hold), ..rule(100, 100) };
        let first = rule.decide(plays, Some(&held(None)), NOON);
        let now = NOON + Duration::from_secs(at);
        let then = rule.decide(plays, Some(&held(first.below_since)), now);
        if let Some(ends) = first.again_at {
            prop_assert_eq!(then.wanted, now < ends);
        } else {
            prop_assert!(!first.wanted);
        }
    }
}
