//! The three forms of one event, and the field that a refusal names in each.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::event::{Event, Headers, Reason, Reject, content_hash, parse, parse_unsent};

const SUBJECT: &str = "plays.pl_42";

/// The attributes that the plain fields stand for.
const ATTRIBUTES: [(&str, &str); 3] = [("type", "type"), ("event_id", "id"), ("played_at", "time")];

fn play() -> Value {
    json!({"type": "play", "event_id": "e1", "playlist_id": "pl_42", "listener_id": "auth0|abc",
           "song_id": "s_7", "played_at": "2026-11-23T10:00:00Z"})
}

/// The attributes and the data of an event.
fn split(event: &Value) -> (Map<String, Value>, Value) {
    let mut data = event.clone();
    let mut attributes = Map::new();
    attributes.insert("specversion".to_owned(), "1.0".into());
    attributes.insert("source".to_owned(), "/app".into());
    for (field, attribute) in ATTRIBUTES {
        if let Some(value) = data.as_object_mut().and_then(|data| data.remove(field)) {
            attributes.insert(attribute.to_owned(), value);
        }
    }
    (attributes, data)
}

fn envelope(event: &Value) -> Value {
    let (mut attributes, data) = split(event);
    attributes.insert("data".to_owned(), data);
    attributes.into()
}

fn headers(all: &[(&str, &str)]) -> Option<Box<Headers>> {
    Headers::among(all.iter().copied())
}

/// The headers and the payload in binary mode.
fn binary(event: &Value) -> (Vec<(String, String)>, String) {
    let (attributes, data) = split(event);
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('%', "%25");
    let all = attributes
        .iter()
        .map(|(name, value)| (format!("CE-{name}"), text(value)));
    (all.collect(), data.to_string())
}

fn kept(all: &[(String, String)]) -> Option<Box<Headers>> {
    Headers::among(all.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn structured(headers: &[(&str, &str)], envelope: &Value) -> Result<Event<'static>, Reject> {
    let headers = self::headers(headers);
    parse(SUBJECT, headers.as_deref(), envelope.to_string().as_bytes()).map(Event::into_owned)
}

fn with(mut value: Value, path: &str, to: Value) -> Value {
    let parts: Vec<&str> = path.split('.').collect();
    let (last, outer) = parts.split_last().unwrap();
    let mut at = &mut value;
    for name in outer {
        at = &mut at[*name];
    }
    match to {
        Value::Null => drop(at.as_object_mut().unwrap().remove(*last)),
        to => at[*last] = to,
    }
    value
}

#[test]
fn an_envelope_is_known_by_its_header_or_by_itself() {
    let plain = parse(SUBJECT, None, play().to_string().as_bytes())
        .unwrap()
        .into_owned();
    for headers in [
        &[][..],
        &[("Content-Type", "application/cloudevents+json")],
        &[("content-type", "APPLICATION/CloudEvents+JSON;charset=UTF-8")],
        &[("content-type", "application/cloudevents"), ("ce-id", "ignored")],
        &[("content-type", "application/json")],
    ] {
        assert_eq!(
            structured(headers, &envelope(&play())),
            Ok(plain.clone()),
            "{headers:?}"
        );
    }
    let unsent = envelope(&play()).to_string();
    let unsent = parse_unsent(unsent.as_bytes()).unwrap();
    let sent = (unsent.subject.as_str(), unsent.content_type, unsent.event);
    assert_eq!(sent, (SUBJECT, Some("application/cloudevents+json"), plain));
}

#[test]
fn what_an_event_may_leave_out_or_say_twice() {
    let usual = envelope(&play());
    for (path, value) in [
        ("type", json!("com.example.music.play")),
        ("time", json!(null)),
        ("datacontenttype", json!("application/json")),
        (
            "datacontenttype",
            json!("application/vnd.music+json; charset=utf-8"),
        ),
        ("subject", json!("pl_42")),
        ("comexample", json!(7)),
        ("data.event_id", json!("e1")),
        ("data.type", json!("play")),
        ("data.played_at", json!("2026-11-23T11:00:00Z")),
        ("data.note", json!({"a": [1]})),
    ] {
        let mut event = with(usual.clone(), path, value.clone());
        if path == "time" {
            event = with(event, "data.played_at", json!("2026-11-23T11:00:00Z"));
        }
        assert!(structured(&[], &event).is_ok(), "{path} {value}");
    }
}

#[test]
fn a_refused_envelope_names_the_member() {
    use Reason::{BadValue, MissingField, NotJson, SubjectMismatch, UnknownType, WrongType};
    let header = [("content-type", "application/cloudevents+json")];
    for (path, value, reason, detail) in [
        ("specversion", json!(null), MissingField, "specversion: required"),
        (
            "specversion",
            json!("0.3"),
            BadValue,
            "specversion: expected \"1.0\"",
        ),
        ("specversion", json!(1.0), WrongType, "specversion: "),
        ("id", json!(null), MissingField, "id: required"),
        ("id", json!("a b"), BadValue, "id: expected 1 to 64"),
        ("source", json!(null), MissingField, "source: required"),
        ("source", json!(""), BadValue, "source: expected the URI"),
        ("type", json!(null), MissingField, "type: required"),
        (
            "type",
            json!("com.example.paused"),
            UnknownType,
            "type: unknown event type \"paused\"",
        ),
        (
            "type",
            json!("playlist_deleted"),
            SubjectMismatch,
            "type: expected a subject",
        ),
        ("time", json!("today"), BadValue, "time: expected a time"),
        (
            "time",
            json!(null),
            MissingField,
            "time: required, unless data.played_at",
        ),
        (
            "datacontenttype",
            json!("text/xml"),
            BadValue,
            "datacontenttype: expected application/json",
        ),
        (
            "data_base64",
            json!("e30="),
            BadValue,
            "data_base64: expected the fields",
        ),
        ("data", json!(null), MissingField, "data: required"),
        ("data", json!("{}"), WrongType, "data: expected a JSON object"),
        ("data", json!([1]), WrongType, "data: expected a JSON object"),
        (
            "data.playlist_id",
            json!(null),
            MissingField,
            "data.playlist_id: required",
        ),
        (
            "data.playlist_id",
            json!("pl_43"),
            SubjectMismatch,
            "data.playlist_id: ",
        ),
        ("data.song_id", json!(7), WrongType, "data.song_id: "),
        ("data.played_at", json!("now"), BadValue, "data.played_at: "),
        (
            "data.event_id",
            json!("e2"),
            BadValue,
            "data.event_id: expected the value of id, or no",
        ),
        (
            "data.type",
            json!("pause"),
            BadValue,
            "data.type: expected the value of type",
        ),
    ] {
        let reject = structured(&header, &with(envelope(&play()), path, value.clone())).expect_err(path);
        assert_eq!(reject.reason, reason, "{path} {value}: {reject}");
        assert!(reject.detail.starts_with(detail), "{path} {value}: {reject}");
    }
    let not_json = parse(SUBJECT, headers(&header).as_deref(), b"{").unwrap_err();
    assert_eq!(not_json.reason, NotJson);
}

#[test]
fn a_refused_header_is_named() {
    use Reason::{BadValue, DuplicateField, MissingField, Oversized};
    let long = "x".repeat(2_000);
    for (name, value, reason, detail) in [
        ("ce-specversion", None, MissingField, "ce-specversion: required"),
        (
            "ce-specversion",
            Some("2"),
            BadValue,
            "ce-specversion: expected \"1.0\"",
        ),
        ("ce-id", Some("a%20b"), BadValue, "ce-id: expected 1 to 64"),
        (
            "ce-source",
            Some("%C0%A0"),
            BadValue,
            "ce-source: expected UTF-8, percent-encoded",
        ),
        (
            "ce-source",
            Some(&*long),
            Oversized,
            "ce-source: expected at most 1024 bytes",
        ),
        ("ce-time", Some("now"), BadValue, "ce-time: expected a time"),
        (
            "ce-datacontenttype",
            Some("text/plain"),
            BadValue,
            "ce-datacontenttype: expected app",
        ),
        (
            "content-type",
            Some("application/cloudevents-batch+json"),
            BadValue,
            "content-type: expected",
        ),
        (
            "content-type",
            Some("application/cloudevents+avro"),
            BadValue,
            "content-type: expected",
        ),
    ] {
        let (mut all, payload) = binary(&play());
        all.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        all.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        let reject = parse(SUBJECT, kept(&all).as_deref(), payload.as_bytes()).expect_err(name);
        assert_eq!(reject.reason, reason, "{name} {value:?}: {reject}");
        assert!(reject.detail.starts_with(detail), "{name} {value:?}: {reject}");
    }
    let (mut all, payload) = binary(&play());
    all.push(("ce-id".to_owned(), "e2".to_owned()));
    let twice = parse(SUBJECT, kept(&all).as_deref(), payload.as_bytes()).unwrap_err();
    assert_eq!(
        (twice.reason, twice.detail.as_str()),
        (DuplicateField, "ce-id: expected this header once")
    );
}

prop_compose! {
    /// An event of each type, with names of any characters.
    fn any_event()(
        kind in 0..4_usize, id in "[A-Za-z0-9_-]{1,64}", user in "[^\\pC]{1,40}", name in "\\PC{0,60}",
        escaped: bool, by_user: bool,
    ) -> Value {
        let mut event = json!({"event_id": id, "playlist_id": "pl_42"});
        let kind = ["play", "play_retracted", "playlist_saved", "playlist_deleted"][kind];
        event["type"] = kind.into();
        if kind.starts_with("play_") || kind == "play" {
            event["listener_id"] = user.clone().into();
            event["song_id"] = "s_7".into();
            event["played_at"] = "2026-11-23T10:00:00.5Z".into();
        }
        match kind {
            "play_retracted" => event["retracts"] = "e0".into(),
            "playlist_saved" => {
                event["owner_id"] = user.into();
                event["name"] = if escaped { format!("\"{name}\\").into() } else { name.into() };
            }
            "playlist_deleted" if by_user => event["owner_id"] = user.into(),
            _ => {}
        }
        event
    }
}

proptest! {
    #[test]
    fn one_event_in_three_forms_is_one_event(event in any_event()) {
        let under = if event["type"].as_str().unwrap().starts_with("playlist") { "playlists" } else { "plays" };
        let subject = format!("{under}.32");
        let plain = event.to_string();
        let envelope = envelope(&event).to_string();
        let (all, payload) = binary(&event);
        let headers = kept(&all);
        let forms: [(Option<&Headers>, &str); 3] =
            [(None, &plain), (None, &envelope), (headers.as_deref(), &payload)];
        let read = forms.map(|(headers, payload)| parse(&subject, headers, payload.as_bytes()));
        prop_assert!(read[0].is_ok(), "{:?}", read[0]);
        prop_assert_eq!(&read[0], &read[1]);
        prop_assert_eq!(&read[0], &read[2]);
        let [one, two, three] = forms.map(|(headers, payload)| content_hash(headers, payload.as_bytes()));
        prop_assert!(one == two && two == three);
        let other = json!({"type": "play", "event_id": event["event_id"], "playlist_id": "pl_43"});
        prop_assert_ne!(one, content_hash(None, other.to_string().as_bytes()));
    }

    #[test]
    fn no_headers_and_no_bytes_make_it_panic(
        names in prop::collection::vec(("(?i)ce-(id|type|source|specversion)|content-type", "\\PC{0,40}"), 0..6),
        payload in "\\PC{0,80}|\\{\"specversion\":\"1.0\",\"(id|type|data)\":(\\{\\}|\"\\PC{0,9}\")\\}",
    ) {
        let headers = Headers::among(names.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let read = parse(SUBJECT, headers.as_deref(), payload.as_bytes());
        if let Err(reject) = read {
            prop_assert!(!reject.detail.chars().any(char::is_control), "{:?}", reject.detail);
        }
    }

    #[test]
    fn a_changed_field_is_another_event(at in 0..5_usize, form in 0..2_usize) {
        let field = ["playlist_id", "listener_id", "song_id", "played_at", "event_id"][at];
        let (usual, changed) = (play(), with(play(), field, "other".into()));
        let text = |event: &Value| if form == 0 { event.to_string() } else { envelope(event).to_string() };
        let hash = |event: &Value| content_hash(None, text(event).as_bytes());
        prop_assert!(hash(&usual) != hash(&changed) || (form == 1 && field == "played_at"));
    }
}
