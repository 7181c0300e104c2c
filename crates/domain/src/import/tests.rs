//! Lines of past plays and counts: what they add, and what a bad one names.

use super::*;
use crate::date;
use crate::ids::Token;

const PLAY: &str = r#"{"type":"play","event_id":"e-1","playlist_id":"pl_1","listener_id":"auth0|l","song_id":"s","played_at":"2025-11-23T10:00:00Z"}"#;

fn read(first: &str, line: &str) -> Result<(String, Plays), String> {
    let format = Format::of(first.as_bytes()).map_err(|fault| fault.to_string())?;
    let past = format.read(line.as_bytes()).map_err(|fault| fault.to_string())?;
    Ok((past.playlist.as_str().to_owned(), past.plays))
}

fn one(at: Option<&str>) -> Plays {
    Plays::One {
        event: Token::parse("e-1").expect("an id"),
        at: at.and_then(date::of_text),
    }
}

#[test]
fn plays_and_counts_are_read_in_both_forms() {
    let at = Some("2025-11-23T10:00:00Z");
    let table = [
        (PLAY, PLAY, one(at)),
        ("{", r#"{"event_id":"e-1","playlist_id":"pl_1"}"#, one(None)),
        (
            "{",
            r#"{"playlist_id":"pl_1","plays":0,"more":[1]}"#,
            Plays::Count(0),
        ),
        ("playlist_id,plays", "pl_1,1200", Plays::Count(1_200)),
        ("plays, playlist_id", "7, pl_1", Plays::Count(7)),
        (
            "\u{feff}\"playlist_id\",\"name\",\"plays\"",
            "\"pl_1\",\"a,\"\"b\",\"7\"",
            Plays::Count(7),
        ),
        (
            "playlist_id,plays,title",
            "pl_1,7,\"\"\"a\"\", \"\"b\"\"\"",
            Plays::Count(7),
        ),
        ("playlist_id,plays,title", "pl_1,7,\"\"", Plays::Count(7)),
        (
            "event_id,played_at,playlist_id",
            "e-1,2025-11-23T10:00:00Z,pl_1",
            one(at),
        ),
        ("event_id,playlist_id,plays", "e-1,pl_1,", one(None)),
        ("event_id,playlist_id,plays", ",pl_1,9", Plays::Count(9)),
    ];
    for (first, line, right) in table {
        assert_eq!(read(first, line), Ok(("pl_1".to_owned(), right)), "{line}");
    }
}

#[test]
fn a_bad_line_names_its_field() {
    let json = "{";
    let counts = "playlist_id,plays";
    let titles = "playlist_id,plays,title";
    let many = ["x"; 65].join(",");
    let table = [
        (json, "{", "not_json: line"),
        (json, "[1]", "wrong_type: line"),
        (json, r#"{"playlist_id":"pl_1","plays":1}}"#, "not_json: line"),
        (json, r#"{"playlist_id":"pl_1","plays":"1"}"#, "wrong_type: plays"),
        (json, r#"{"playlist_id":"pl_1","plays":1.5}"#, "wrong_type: plays"),
        (
            json,
            r#"{"playlist_id":"pl_1","plays":1,"plays":2}"#,
            "duplicate_field",
        ),
        (
            json,
            r#"{"playlist_id":"pl_1","plays":-1}"#,
            "bad_value: plays: expected 0 to",
        ),
        (
            json,
            r#"{"playlist_id":"pl 1","plays":1}"#,
            "bad_value: playlist_id",
        ),
        (json, r#"{"plays":1}"#, "missing_field: playlist_id: required"),
        (
            json,
            r#"{"playlist_id":"pl_1"}"#,
            "missing_field: event_id: required, or plays",
        ),
        (
            json,
            r#"{"playlist_id":"pl_1","event_id":"e","plays":1}"#,
            "bad_value: plays: expected a play",
        ),
        (
            json,
            r#"{"playlist_id":"pl_1","event_id":"e","played_at":"now"}"#,
            "bad_value: played_at",
        ),
        (
            json,
            r#"{"type":"playlist_saved","playlist_id":"p","event_id":"e"}"#,
            "bad_value: type: expected play",
        ),
        (counts, "pl_1,many", "bad_value: plays: expected a whole number"),
        (counts, "pl_1", "bad_value: line: expected 2 values"),
        (counts, "pl_1,1,2", "bad_value: line: expected 2 values"),
        (counts, &many, "bad_value: line: expected at most 64"),
        (counts, "pl_1\r,1", "bad_value: line"),
        (titles, "pl_1,5,\"best of", "bad_value: line: ends inside quotes"),
        (
            titles,
            "pl_1,5,\"best \"\" of\"\"",
            "bad_value: line: ends inside quotes",
        ),
        (
            titles,
            "pl_2,1000000,x\"",
            "bad_value: line: has a quote in a value",
        ),
        (titles, "pl_1,5, \"x\"", "bad_value: line: has a quote in a value"),
        (titles, "pl_1,5,\"x\"y", "bad_value: line: has text behind"),
        (
            "playlist_id,plays,\"title",
            "pl_1,5,x",
            "bad_value: line: ends inside quotes",
        ),
        (
            "playlist,plays",
            "pl_1,1",
            "missing_field: playlist_id: expected a JSON object, or",
        ),
        (
            "playlist_id,count",
            "pl_1,1",
            "missing_field: event_id: the first line",
        ),
        ("playlist_id,plays,plays", "pl_1,1,1", "duplicate_field: plays"),
    ];
    for (first, line, right) in table {
        let fault = read(first, line).expect_err(line);
        assert!(fault.starts_with(right), "{line}: {fault}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused() {
    let long = format!("{{\"playlist_id\":\"{}\"}}", "x".repeat(20_000));
    let fault = read("{", &long).expect_err("it is too long");
    assert!(fault.starts_with("oversized: line"), "{fault}");
}

#[test]
fn no_line_makes_it_panic() {
    for first in ["{", "playlist_id,plays"] {
        for byte in 0..=u8::MAX {
            for line in [vec![byte], vec![b'"', byte, b'"'], vec![byte, b',', byte]] {
                let format = Format::of(first.as_bytes()).expect("a form");
                let _ = (format.read(&line), Format::of(&line));
            }
        }
    }
}
