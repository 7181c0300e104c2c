//! Accepted events, refused events, and the field that a refusal names.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn play() -> Value {
    json!({"type": "play", "event_id": "e1", "playlist_id": "pl_42", "listener_id": "auth0|abc",
           "song_id": "s_7", "played_at": "2026-11-23T10:00:00Z"})
}

fn retraction() -> Value {
    json!({"type": "play_retracted", "event_id": "e2", "retracts": "e1", "playlist_id": "pl_42",
           "listener_id": "auth0|abc", "song_id": "s_7",
           "played_at": "2026-11-23T10:00:00Z", "reason": "bot"})
}

fn saved() -> Value {
    json!({"type": "playlist_saved", "event_id": "e3", "playlist_id": "pl_42", "owner_id": "auth0|abc",
           "name": "Road trip"})
}

fn deleted() -> Value {
    json!({"type": "playlist_deleted", "event_id": "e4", "playlist_id": "pl_42"})
}

fn with(mut event: Value, field: &str, value: impl Into<Value>) -> Value {
    event[field] = value.into();
    event
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field).unwrap();
    event
}

fn subject_of(event: &Value) -> String {
    let is_playlist = |kind: &str| kind.starts_with("playlist");
    let under = if event["type"].as_str().is_some_and(is_playlist) {
        PLAYLISTS
    } else {
        PLAYS
    };
    format!("{under}pl_42")
}

fn parse<'a>(subject: &str, payload: &'a [u8]) -> Result<Event<'a>, Reject> {
    super::parse(subject, None, payload)
}

fn refused(subject: &str, payload: &[u8]) -> Reject {
    parse(subject, payload).expect_err(&String::from_utf8_lossy(payload))
}

/// Asserts that `event` is refused for `reason` and that the detail begins with the field's name.
fn assert_refused(event: &Value, reason: Reason, field: &str) {
    let reject = refused(&subject_of(event), event.to_string().as_bytes());
    assert_eq!(reject.reason, reason, "{event}: {reject}");
    assert!(
        reject.detail.starts_with(&format!("{field}: ")),
        "{event}: {reject}"
    );
}

#[test]
fn every_type_is_read() {
    let id = |raw: &'static str| Token::parse(raw).unwrap();
    let saved_as = |name: &'static str| EventKind::Saved {
        owner: UserId::parse("auth0|abc").unwrap(),
        name: name.into(),
    };
    let table = [
        (play(), "e1", EventKind::Play),
        (retraction(), "e2", EventKind::Retraction { of: id("e1") }),
        (
            without(retraction(), "reason"),
            "e2",
            EventKind::Retraction { of: id("e1") },
        ),
        (saved(), "e3", saved_as("Road trip")),
        (with(saved(), "name", ""), "e3", saved_as("")),
        (
            with(saved(), "name", "Dîner \"à\" deux"),
            "e3",
            saved_as("Dîner \"à\" deux"),
        ),
        (deleted(), "e4", EventKind::Deleted { owner: None }),
        (
            with(deleted(), "owner_id", Value::Null),
            "e4",
            EventKind::Deleted { owner: None },
        ),
        (
            with(deleted(), "owner_id", "auth0|abc"),
            "e4",
            EventKind::Deleted {
                owner: UserId::parse("auth0|abc").ok(),
            },
        ),
        (
            with(deleted(), "added_later", json!([1, {"deep": null}])),
            "e4",
            EventKind::Deleted { owner: None },
        ),
        (
            with(play(), "played_at", "1970-01-01T00:00:00Z"),
            "e1",
            EventKind::Play,
        ),
        (
            with(play(), "played_at", "2099-12-31T23:59:59.123456789+14:00"),
            "e1",
            EventKind::Play,
        ),
        (
            with(play(), "played_at", "0000-01-01T00:00:00Z"),
            "e1",
            EventKind::Play,
        ),
    ];
    for (event, event_id, kind) in table {
        let read = parse(&subject_of(&event), event.to_string().as_bytes()).map(|it| {
            assert_eq!(
                (it.id.as_str(), it.playlist.as_str()),
                (event_id, "pl_42"),
                "{event}"
            );
            assert_eq!(it.kind, kind, "{event}");
        });
        assert_eq!(read, Ok(()), "{event}");
    }
}

#[test]
fn fields_that_are_missing_mistyped_or_malformed_are_named() {
    let required: [(Value, &[&str]); 4] = [
        (
            play(),
            &[
                "type",
                "event_id",
                "playlist_id",
                "listener_id",
                "song_id",
                "played_at",
            ],
        ),
        (
            retraction(),
            &[
                "type",
                "event_id",
                "retracts",
                "playlist_id",
                "listener_id",
                "song_id",
                "played_at",
            ],
        ),
        (saved(), &["type", "event_id", "playlist_id", "owner_id", "name"]),
        (deleted(), &["type", "event_id", "playlist_id"]),
    ];
    for (event, fields) in required {
        for field in fields {
            assert_refused(&without(event.clone(), field), Reason::MissingField, field);
            assert_refused(
                &with(event.clone(), field, Value::Null),
                Reason::MissingField,
                field,
            );
            for mistyped in [json!(7), json!(-0.5), json!(true), json!([]), json!({"a": "b"})] {
                assert_refused(&with(event.clone(), field, mistyped), Reason::WrongType, field);
            }
            let poison = if *field == "type" {
                Reason::UnknownType
            } else {
                Reason::BadValue
            };
            assert_refused(&with(event.clone(), field, "a\0b"), poison, field);
            assert_refused(&with(event.clone(), field, "x".repeat(10_000)), poison, field);
        }
    }
    assert_refused(&with(retraction(), "reason", 5), Reason::WrongType, "reason");
    assert_refused(&with(deleted(), "name", 5), Reason::WrongType, "name");

    for id in ["", "a b", "a.b", "é", &"z".repeat(65)] {
        assert_refused(&with(play(), "event_id", id), Reason::BadValue, "event_id");
        assert_refused(&with(retraction(), "retracts", id), Reason::BadValue, "retracts");
    }
    assert_refused(&with(play(), "listener_id", ""), Reason::BadValue, "listener_id");
    assert_refused(&with(saved(), "name", "é".repeat(257)), Reason::BadValue, "name");
    assert_refused(&with(saved(), "name", "tab\t"), Reason::BadValue, "name");
    for time in [
        "",
        "yesterday",
        "2026-11-23",
        "2026-02-30T10:00:00Z",
        "2026-11-23T10:00:00",
        "1760000000",
    ] {
        assert_refused(&with(play(), "played_at", time), Reason::BadValue, "played_at");
    }
    assert_refused(&with(play(), "type", "PLAY"), Reason::UnknownType, "type");
}

#[test]
fn names_may_have_as_many_characters_as_the_contract_says() {
    let event = with(saved(), "name", "é".repeat(256)).to_string();
    assert!(parse("playlists.pl_42", event.as_bytes()).is_ok());
}

#[test]
fn the_subject_is_that_of_the_partition_or_of_the_id_itself() {
    for subject in ["plays.32", "plays.pl_42"] {
        assert!(parse(subject, play().to_string().as_bytes()).is_ok(), "{subject}");
    }
}

#[test]
fn a_subject_that_disagrees_is_refused() {
    for (event, subject, field) in [
        (play(), "plays.pl_43", "playlist_id"),
        (play(), "plays.31", "playlist_id"),
        (play(), "plays.96", "playlist_id"),
        (play(), "plays.032", "playlist_id"),
        (play(), "playlists.32", "type"),
        (play(), "plays.", "playlist_id"),
        (play(), "plays.pl_42.x", "playlist_id"),
        (play(), "plays", "type"),
        (play(), "playlists.pl_42", "type"),
        (retraction(), "playlists.pl_42", "type"),
        (saved(), "plays.pl_42", "type"),
        (saved(), "playlists.PL_42", "playlist_id"),
        (deleted(), "plays.pl_42", "type"),
        (deleted(), "", "type"),
    ] {
        let reject = refused(subject, event.to_string().as_bytes());
        assert_eq!(reject.reason, Reason::SubjectMismatch, "{subject}: {reject}");
        assert!(reject.detail.starts_with(field), "{subject}: {reject}");
    }
}

#[test]
fn payloads_that_are_no_event_are_refused_with_the_place() {
    let deep_field = format!(r#"{{"type":"play","event_id":{}"#, "[".repeat(5_000));
    let deep_array = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let twice = r#"{"type":"play","event_id":"a","event_id":"b"}"#;
    let surrogate = r#"{"type":"play","event_id":"\ud800"}"#;
    let oversized = vec![b' '; MAX_EVENT_BYTES + 1];
    let table: [(&[u8], Reason, &str); 19] = [
        (b"", Reason::NotJson, "payload: "),
        (b"  \n", Reason::NotJson, "payload: "),
        (b"\0", Reason::NotJson, "payload: "),
        (b"hello", Reason::NotJson, "payload: "),
        (b"{", Reason::NotJson, "payload: "),
        (b"{}{}", Reason::NotJson, "payload: trailing"),
        (b"\xef\xbb\xbf{}", Reason::NotJson, "payload: "),
        (b"{}", Reason::MissingField, "type: "),
        (b"null", Reason::WrongType, "payload: "),
        (b"\"play\"", Reason::WrongType, "payload: "),
        (
            br#"["play","e1","pl_42","","auth0|abc","s_7","2026-11-23T10:00:00Z","","",""]"#,
            Reason::WrongType,
            "payload: ",
        ),
        (deep_array.as_bytes(), Reason::WrongType, "payload: "),
        (deep_field.as_bytes(), Reason::WrongType, "event_id: "),
        (
            twice.as_bytes(),
            Reason::DuplicateField,
            "payload: duplicate field `event_id`",
        ),
        // The text is parsed; the first missing field is reported.
        (surrogate.as_bytes(), Reason::MissingField, "listener_id: "),
        (
            b"{\"type\":\"play\",\"song_id\":\"a\0b\"}",
            Reason::NotJson,
            "song_id: ",
        ),
        (
            b"{\"type\":\"play\",\"event_id\":\"\xff\"}",
            Reason::NotUtf8,
            "payload: ",
        ),
        (
            b"{\"type\":\"play\",\"event_id\":\"\xed\xa0\x80\"}",
            Reason::NotUtf8,
            "payload: ",
        ),
        (&oversized, Reason::Oversized, "payload: "),
    ];
    for (payload, reason, opening) in table {
        let reject = refused("plays.pl_42", payload);
        assert_eq!(reject.reason, reason, "{reject}");
        assert!(reject.detail.starts_with(opening), "{reject}");
    }
}

#[test]
fn a_field_nobody_asked_for_is_skipped_whatever_it_holds() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for ignored in [deep.as_str(), r#""\ud800""#, "1e400"] {
        let payload = deleted()
            .to_string()
            .replacen('{', &format!(r#"{{"x":{ignored},"x":1,"#), 1);
        assert!(parse("playlists.pl_42", payload.as_bytes()).is_ok(), "{ignored}");
    }
}

#[test]
fn f45_half_a_pair_spoils_a_name_and_not_the_event() {
    let cut = |event: &Value, field: &str| {
        let text = with(event.clone(), field, "CUT").to_string();
        text.replace("CUT", r"auth0|DJ \ud83d")
    };
    let payload = cut(&saved(), "name");
    let read = parse("playlists.pl_42", payload.as_bytes()).unwrap();
    let EventKind::Saved { name, owner } = read.kind else {
        panic!("{read:?}")
    };
    assert_eq!(
        (name.as_ref(), owner.as_str()),
        ("auth0|DJ \u{fffd}", "auth0|abc")
    );
    assert!(parse("plays.pl_42", cut(&retraction(), "reason").as_bytes()).is_ok());
    assert!(parse("playlists.pl_42", cut(&deleted(), "\\ud83d").as_bytes()).is_ok());
    for (subject, event, field) in [
        ("playlists.pl_42", saved(), "owner_id"),
        ("plays.pl_42", play(), "listener_id"),
        ("plays.pl_42", play(), "song_id"),
    ] {
        let reject = refused(subject, cut(&event, field).as_bytes());
        assert_eq!(reject.reason, Reason::BadValue, "{reject}");
        assert!(reject.detail.starts_with(field), "{reject}");
    }
}

#[test]
fn a_payload_of_the_largest_size_is_read() {
    let mut payload = play().to_string();
    payload.push_str(&" ".repeat(MAX_EVENT_BYTES - payload.len()));
    assert!(parse("plays.pl_42", payload.as_bytes()).is_ok());
}

#[test]
fn reasons_are_listed_once_each_under_names_of_their_own() {
    let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
    assert!(names.iter().all(|name| {
        name.bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    }));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(payload: Vec<u8>, subject: String) {
        prop_assert!(parse(&subject, &payload).is_err());
    }

    #[test]
    fn one_changed_byte_is_read_or_refused(at in 0..150usize, byte: u8) {
        let mut payload = play().to_string().into_bytes();
        let at = at % payload.len();
        payload[at] = byte;
        if let Ok(event) = parse("plays.pl_42", &payload) {
            prop_assert_eq!(event.playlist.as_str(), "pl_42");
        }
    }

    #[test]
    fn a_detail_is_short_and_fit_to_be_shown(
        field in "\\PC{1,40}|event_id|name|type", value: String, subject: String
    ) {
        let event = with(saved(), &field, value);
        if let Err(reject) = parse(&subject, event.to_string().as_bytes()) {
            prop_assert!(reject.detail.len() < 1_000, "{}", reject.detail);
            prop_assert!(!reject.detail.chars().any(char::is_control), "{:?}", reject.detail);
        }
    }

    #[test]
    fn well_formed_events_are_read_as_they_were_written(
        id in "[A-Za-z0-9_-]{1,64}", playlist in "[A-Za-z0-9_-]{1,64}",
        owner in "[^\\pC]{1,60}", name in "\\PC{0,256}",
    ) {
        let event = json!({
            "type": "playlist_saved", "event_id": id, "playlist_id": playlist, "owner_id": owner,
            "name": name,
        });
        let event = event.to_string();
        let read = parse(&format!("playlists.{playlist}"), event.as_bytes());
        prop_assert_eq!(read, Ok(Event {
            id: Token::parse(id).unwrap(),
            playlist: Token::parse(playlist).unwrap(),
            kind: EventKind::Saved { owner: UserId::parse(owner).unwrap(), name: name.into() },
        }));
    }
}
