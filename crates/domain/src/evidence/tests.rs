//! The chain and the file, against hashes that another program made, and against every change of a file.

use serde_json::json;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::hash::hash;

/// A completed change of a user; the number makes it another one.
fn change(number: u128, user: &str) -> Completed {
    Completed {
        change_id: Uuid::from_u128(number),
        user_id: user.to_owned(),
        role: "playlist_editor".to_owned(),
        change: "granted".to_owned(),
        plays: 100,
        rule: json!({"role": "playlist_editor", "of": "best_playlist", "grant_at": 100, "revoke_below": 100}),
        event_id: Some("e1".to_owned()),
        event_stored_at: Some(datetime!(2026-01-01 0:00:00.25 UTC)),
        event_seq: Some(42),
        decided_at: datetime!(2026-01-01 0:00:01 UTC),
        attempted_at: Some(datetime!(2026-01-01 0:00:01.5 UTC)),
        completed_at: datetime!(2026-01-01 0:00:02.000_001 UTC),
        outcome: "written".to_owned(),
        queued_ms: 12,
        released: false,
        write_id: None,
        client_id: None,
        log_id: None,
        reason: None,
    }
}

/// The lines of changes behind a place.
fn lines(start: Place, users: &[&str]) -> Vec<Line> {
    let mut last = start;
    let lines = (1..).zip(users).map(|(number, user)| {
        let salt = Salt::of([7; 16]);
        let change = change(number, user);
        let hashed = user_hash(salt, user);
        let place = last.next(digest(&change.record(hashed).unwrap()));
        let previous = last.hash;
        last = place;
        let salt = (!change.is_erased()).then_some(salt);
        let row = Chained {
            change,
            place,
            previous,
            user: hashed,
            salt,
        };
        Line::of(&row, vec![]).unwrap()
    });
    lines.collect()
}

/// A file of changes, with a sample of at most so many.
fn file(start: Place, users: &[&str], sample: Option<u32>) -> String {
    let lines = lines(start, users);
    let end = lines.last().map(Line::place);
    let shown = sample.map(|most| sampled(start.position + 1, end.unwrap(), most));
    let header = Header {
        evidence: FORMAT,
        made_at: datetime!(2026-02-01 0:00 UTC),
        from: datetime!(2026-01-01 0:00 UTC),
        to: datetime!(2026-02-01 0:00 UTC),
        sample,
        start: end.map(|_| start),
    };
    let mut text = serde_json::to_string(&header).unwrap() + "\n";
    let changes = lines.len() as u64;
    for line in lines {
        let is_shown = shown.as_ref().is_none_or(|shown| shown.contains(&line.position));
        let line = if is_shown { line } else { line.without_content() };
        text += &(serde_json::to_string(&line).unwrap() + "\n");
    }
    let end = End {
        end,
        changes,
        sha256: hash(&text),
    };
    text + &serde_json::to_string(&end).unwrap() + "\n"
}

/// Reads a file; the text of its fault.
fn verified(text: &str) -> Result<Verified, String> {
    let mut verifier = Verifier::default();
    for line in text.lines() {
        verifier.line(line).map_err(|fault| fault.to_string())?;
    }
    verifier.end().map_err(|fault| fault.to_string())
}

const ERASED: &str = "erased:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const USERS: [&str; 5] = ["auth0|ann", "auth0|bob", ERASED, "auth0|cid", "auth0|ann"];

#[test]
fn the_first_hash_is_that_of_another_program() {
    // Made with Python: json.dumps with sorted keys and without spaces, hashlib.sha256.
    let first = &lines(START, &USERS)[0];
    let record = first.record.as_ref().unwrap();
    assert_eq!(
        digest(record).to_string(),
        "266012ab11a07206c368186ee231ecba69a126c7fcc1ff29658f3a687ac4522a"
    );
    assert_eq!(
        first.hash.to_string(),
        "4141f59dc489e4152dc8b4d4e30b1eee43b0aa4e9186a739a1c738f9f77a6235"
    );
    assert!(!record.to_string().contains("auth0|ann"));
}

#[test]
fn whole_files_are_valid_from_any_first_row_on() {
    let later = Place {
        position: 41,
        hash: Hash::of([9; 32]),
    };
    for start in [START, later] {
        let valid = verified(&file(start, &USERS, None)).unwrap();
        assert_eq!((valid.shown, valid.erased, valid.end.changes), (5, 1, 5));
        for most in [1, 2, 5, 6] {
            let valid = verified(&file(start, &USERS, Some(most))).unwrap();
            assert_eq!(valid.shown, u64::from(most.min(5)));
        }
    }
    assert_eq!(verified(&file(START, &[], None)).unwrap().end.changes, 0);
}

#[test]
fn every_changed_byte_of_a_file_is_found() {
    for sample in [None, Some(2)] {
        let text = file(START, &USERS[..3], sample);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verified(&changed).is_err(), "byte {at} of {changed}");
        }
    }
}

#[test]
fn every_removed_repeated_or_moved_line_is_found() {
    let text = file(START, &USERS, None);
    let lines: Vec<&str> = text.lines().collect();
    for at in 0..lines.len() {
        let mut removed = lines.clone();
        removed.remove(at);
        assert!(verified(&removed.join("\n")).is_err(), "without line {at}");
        let mut repeated = lines.clone();
        repeated.insert(at, lines[at]);
        assert!(verified(&repeated.join("\n")).is_err(), "line {at} twice");
        let mut moved = lines.clone();
        moved.swap(at, (at + 1) % lines.len());
        assert!(verified(&moved.join("\n")).is_err(), "line {at} moved");
    }
    let moved = [lines[0], lines[2], lines[1]].join("\n");
    assert_eq!(
        verified(&moved).unwrap_err(),
        "line 2, change 00000000-0000-0000-0000-000000000002: position 1 of the chain is expected here, and 2 is found: a change \
         was removed, added or moved"
    );
}

/// The hash of the bytes alone would be easy to correct.
#[test]
fn a_change_is_found_where_the_last_line_was_corrected() {
    let text = file(START, &USERS, None);
    let corrected = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let (before, last) = changed.trim_end().rsplit_once('\n').unwrap();
        let mut end: End = serde_json::from_str(last).unwrap();
        end.sha256 = hash(&format!("{before}\n"));
        let last = serde_json::to_string(&end).unwrap();
        verified(&format!("{before}\n{last}\n")).unwrap_err()
    };
    let content = "its content does not have its hash";
    assert!(corrected("\"plays\":100", "\"plays\":99").contains(content));
    let user = "its user id does not have the hash";
    assert!(corrected("\"user_id\":\"auth0|bob\"", "\"user_id\":\"auth0|eve\"").contains(user));
    assert!(corrected("\"plays\":100", "\"plays\":1,\"plays\":100").contains("a member is repeated"));
}

#[test]
fn only_the_pseudonym_of_an_erased_user_needs_no_salt() {
    assert!(verified(&file(START, &[ERASED], None)).is_ok());
    for user in ["erased:nobody", "erased:", "erased:00"] {
        let why = verified(&file(START, &[user], None)).unwrap_err();
        assert!(
            why.contains("its user id does not have the hash"),
            "{user}: {why}"
        );
    }
}

#[test]
fn numbers_at_the_end_of_their_range_make_no_panic() {
    let text = file(START, &USERS[..1], Some(1));
    for number in [i64::MAX, i64::MIN, -1] {
        for from in ["\"position\":0", "\"position\":1"] {
            let changed = text.replace(from, &format!("\"position\":{number}"));
            assert!(verified(&changed).is_err(), "{changed}");
        }
    }
    assert!(
        verified(&text.replace("\"evidence\":1", "\"evidence\":2")).is_err_and(|why| why.contains("format"))
    );
}
