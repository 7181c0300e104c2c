//! Rules at the threshold, over time, and in the file.

use proptest::prelude::*;
use time::OffsetDateTime;
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

/// Held since one hour before noon.
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

fn parsed(text: &str) -> Rules {
    Versioned::parse(text).unwrap().rules
}

#[test]
fn at_the_line() {
    let plain = rule(100, 100);
    assert!(!wanted(&plain, 99, false) && !wanted(&plain, 99, true));
    assert!(wanted(&plain, 100, false) && wanted(&plain, 101, true));
    let kept = rule(100, 90);
    assert!(
        !wanted(&kept, 99, false),
        "never granted on the way up before the threshold"
    );
    assert!(
        wanted(&kept, 99, true) && wanted(&kept, 90, true),
        "kept between the thresholds"
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
    // Held for an hour, and below the threshold only now: the minimum hold ends in 30 minutes, the grace in 10.
    let first = patient.decide(99, Some(&held(None)), NOON);
    assert_eq!(
        first,
        Decision {
            wanted: true,
            below_since: Some(NOON),
            again_at: Some(NOON + minutes(30))
        }
    );
    // The grace counts from the first time below, not from each attempt.
    let later = patient.decide(99, Some(&held(first.below_since)), NOON + minutes(29));
    assert_eq!((later.wanted, later.below_since), (true, Some(NOON)));
    assert!(
        !patient
            .decide(99, Some(&held(first.below_since)), NOON + minutes(30))
            .wanted
    );
    // Above the threshold again, the time restarts.
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
    let rules = parsed("[[rule]]\nrole = \"playlist_editor\"\ngrant_at = 100\nrevoke_below = 100\n");
    assert_eq!(rules, Rules::default());
    let full = parsed(
        "[[rule]]\nrole=\"star\"\nof=\"all_playlists\"\ngrant_at=10\nrevoke_below=5\nmin_hold=\"7days\"\ngrace=\"90s\"\nrevoke=\"never\"\nmanual=\"alert\"\n",
    );
    let star = &full.as_slice()[0];
    assert_eq!(
        (star.of, star.revoke, star.manual),
        (Measure::AllPlaylists, Revoke::Never, OnExternalRemoval::Alert)
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
        (
            "version = 0\n".to_owned() + &with(""),
            "version: expected 1 or more, got 0",
        ),
        (
            "shade = 1\n".to_owned() + &with(""),
            "line 1: unknown field `shade`",
        ),
        (
            "format = 3\nshade = 1\n".to_owned() + &with(""),
            "format 3: this release",
        ),
        (with("colour=1"), "line 5: unknown field `colour`"),
        (with("grace=\"soon\""), "\"soon\" is no duration"),
        (with("grace=\"-5s\""), "\"-5s\" is no duration"),
        (with("min_hold=90"), "line 5: invalid type"),
        (with("revoke=\"off\""), "line 5: unknown variant `off`"),
        (
            "[[rule]]\nrole=\"a\"\ngrant_at=\"5\"\nrevoke_below=5\n".to_owned(),
            "line 3: invalid type",
        ),
        ("[[rule]]\nrole=\"a\"\nrevoke_below=5\n".to_owned(), "grant_at"),
        (two.to_owned(), "another rule has the same role"),
    ] {
        let faults = Versioned::parse(&text).unwrap_err().to_string();
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

/// Each release must write the same text: all workers under the same rules have one fingerprint.
#[test]
fn f51_the_canonical_form_leaves_defaults_out() {
    assert_eq!(
        Rules::default().canonical(),
        "format = 1\n\n[[rule]]\nrole = \"playlist_editor\"\ngrant_at = 100\nrevoke_below = 100\n"
    );
    assert_eq!(
        Rules::default().fingerprint(),
        "07721fe351bf140577cea8bcf5e240b7ac465d19c51d851d8e2eebdf4e85913b"
    );
    let text = "version = 7\nformat = 1\n[[rule]]\nmanual = \"alert\"\nrole = \"\\\"z\\\\\"\nrevoke = \"never\"\ngrace = \"1ms\"\n\
                min_hold = \"2h\"\nof = \"all_playlists\"\ngrant_at = 5\nrevoke_below = 4\n[[rule]]\nrole = \"a\"\nmanual = \"restore\"\n\
                grant_at = 1\nrevoke_below = 1\ngrace = \"0s\"\n";
    let read = Versioned::parse(text).unwrap();
    assert_eq!(read.version, 7);
    let canonical = read.rules.canonical();
    assert_eq!(
        canonical,
        "format = 1\n\n[[rule]]\nrole = \"\\\"z\\\\\"\nof = \"all_playlists\"\ngrant_at = 5\nrevoke_below = 4\n\
         min_hold = \"7200s\"\ngrace = \"1000000ns\"\nrevoke = \"never\"\nmanual = \"alert\"\n\n\
         [[rule]]\nrole = \"a\"\ngrant_at = 1\nrevoke_below = 1\n"
    );
    assert_eq!(parsed(&canonical).canonical(), canonical);
}

#[test]
fn f51_only_a_higher_version_takes_the_place_of_rules() {
    use super::offer::{InForce, Verdict, judge};
    let (ours, theirs) = (Rules(vec![rule(5, 5)]), Rules(vec![rule(6, 6)]));
    let offered = |version, rules: &Rules| Versioned {
        version,
        rules: rules.clone(),
    };
    let known = |version, built_in| InForce {
        version,
        fingerprint: theirs.fingerprint(),
        built_in,
    };
    let verdict = |version, rules: &Rules, in_force: Option<&InForce>| match judge(
        &offered(version, rules),
        in_force,
    ) {
        Verdict::PutInForce => "put",
        Verdict::Same => "same",
        Verdict::Refused(_) => "refused",
        Verdict::Left(_) => "left",
    };
    assert_eq!(verdict(0, &ours, None), "put");
    for (version, rules, in_force, built_in, expected) in [
        (0, &ours, 0, true, "put"),
        (0, &ours, 0, false, "refused"),
        (0, &theirs, 0, false, "same"),
        (0, &ours, 1, false, "left"),
        (1, &ours, 0, false, "put"),
        (2, &ours, 2, false, "refused"),
        (2, &theirs, 2, false, "same"),
        (3, &theirs, 2, false, "put"),
        (1, &theirs, 2, false, "left"),
    ] {
        let in_force = known(in_force, built_in);
        assert_eq!(
            verdict(version, rules, Some(&in_force)),
            expected,
            "{version} over {in_force:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_line_crossed_means_no_other_decision(
        low in 1i64..200, gap in 0i64..50, a in -5i64..300, b in -5i64..300, before: bool
    ) {
        let rules = Rules(vec![rule(low + gap, low)]);
        let only = &rules.as_slice()[0];
        let reached = |plays| rules.thresholds_reached(Measure::BestPlaylist, plays);
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

#[test]
fn conditions_and_respect_have_a_format_of_their_own() {
    let text = |more: &str| format!("[[rule]]\nrole = \"a\"\ngrant_at = 1\nrevoke_below = 1\n{more}\n");
    assert_eq!(parsed(&text("")).format(), 1);
    assert_eq!(
        parsed(&text("only_if = []")).canonical(),
        parsed(&text("")).canonical()
    );
    let both = parsed(&text(
        "only_if = [\"not_blocked\", \"email_verified\"]\nmanual = \"respect\"",
    ));
    let canonical = both.canonical();
    assert_eq!(
        canonical,
        "format = 2\n\n[[rule]]\nrole = \"a\"\ngrant_at = 1\nrevoke_below = 1\nmanual = \"respect\"\n\
         only_if = [\"email_verified\", \"not_blocked\"]\n"
    );
    assert_eq!(parsed(&canonical).canonical(), canonical);
    assert!(both.have_conditions() && both.format() == 2);
    for (more, says) in [
        (
            "only_if = [\"not_blocked\", \"not_blocked\"]",
            "only_if: names a condition twice",
        ),
        ("only_if = [\"verified\"]", "unknown variant `verified`"),
        ("only_if = \"not_blocked\"", "expected a sequence"),
        ("manual = \"ignore\"", "unknown variant `ignore`"),
    ] {
        let faults = Versioned::parse(&text(more)).unwrap_err().to_string();
        assert!(faults.contains(says), "{faults}");
    }
}
