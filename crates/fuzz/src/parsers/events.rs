//! App events.

use rolekeeper_domain::event::{self, Event, EventKind, PARTITIONS, Unsent, partition};
use rolekeeper_domain::ids::UserId;
use serde_json::json;

use super::{json, names_one_of};
use crate::fuzz;

/// The fields that a refusal may name: those of an event, and the attributes of an envelope.
const FIELDS: [&str; 19] = [
    "payload",
    "type",
    "event_id",
    "playlist_id",
    "listener_id",
    "song_id",
    "played_at",
    "retracts",
    "owner_id",
    "name",
    "subject",
    "event",
    "specversion",
    "id",
    "source",
    "time",
    "datacontenttype",
    "data",
    "data_base64",
];

/// The same event, as its publisher writes it.
fn written(event: &Event<'_>) -> String {
    let mut fields = json!({"event_id": event.id.as_str(), "playlist_id": event.playlist.as_str()});
    let heard = json!({"listener_id": "auth0|l", "song_id": "s", "played_at": "2026-01-01T00:00:00Z"});
    let more = match &event.kind {
        EventKind::Play | EventKind::Duplicate => json!({"type": "play"}),
        EventKind::Retraction { of } => json!({"type": "play_retracted", "retracts": of.as_str()}),
        EventKind::Saved { owner, name } => {
            json!({"type": "playlist_saved", "owner_id": owner.as_str(), "name": name})
        }
        EventKind::Deleted { owner } => {
            let owner = owner.as_ref().map(UserId::as_str);
            json!({"type": "playlist_deleted", "owner_id": owner})
        }
    };
    for part in [heard, more] {
        let (Some(fields), Some(part)) = (fields.as_object_mut(), part.as_object()) else {
            unreachable!("objects")
        };
        fields.extend(part.clone());
    }
    fields.to_string()
}

#[test]
fn fuzz_events() {
    fuzz("events", |payload| {
        let Unsent {
            subject,
            content_type,
            event,
        } = match event::parse_unsent(payload) {
            Ok(read) => read,
            Err(reject) => return names_one_of(&reject, &FIELDS),
        };
        let json = json(payload).expect("an event is JSON");
        let (fields, id) = match content_type {
            Some(_) => (&json["data"], &json["id"]),
            None => (&json, &json["event_id"]),
        };
        assert_eq!(fields["playlist_id"], event.playlist.as_str());
        assert_eq!(*id, event.id.as_str());
        let again = written(&event);
        let again = event::parse_unsent(again.as_bytes()).expect("the plain form is one too");
        assert_eq!((&again.subject, &again.event), (&subject, &event));
        assert_eq!(event::parse(&subject, None, payload), Ok(event.clone()));
        let (prefix, id) = subject.split_once('.').expect("a subject of two tokens");
        for number in 0..PARTITIONS {
            let here = number == partition(id) || number.to_string() == id;
            let parsed = event::parse(&format!("{prefix}.{number}"), None, payload);
            assert_eq!(parsed.is_ok(), here, "partition {number}");
        }
    });
}

#[test]
fn fuzz_subjects_of_events() {
    let payload = br#"{"type":"playlist_deleted","event_id":"e","playlist_id":"pl_42"}"#;
    fuzz("subjects", |subject| {
        let subject = String::from_utf8_lossy(subject);
        match event::parse(&subject, None, payload) {
            Ok(_) => assert!(
                ["playlists.pl_42", "playlists.32"].contains(&&*subject),
                "{subject}"
            ),
            Err(reject) => names_one_of(&reject, &["playlist_id", "type"]),
        }
    });
}
