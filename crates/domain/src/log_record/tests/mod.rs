//! Records as Auth0 writes them, and malformed ones.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::local_copy::LocalCopy;

mod management;
mod odd;

fn read(record: &Value) -> LogRecord {
    parse(record.to_string().as_bytes()).unwrap_or_else(|reject| panic!("{record}: {reject}"))
}

fn user(id: &str) -> UserId<'static> {
    UserId::parse(id.to_owned()).unwrap()
}

fn written(id: &str, roles: WrittenRoles) -> Effect {
    Effect::Written {
        user: user(id),
        roles,
    }
}

fn set(roles: &[&str]) -> WrittenRoles {
    WrittenRoles::Set(roles.iter().map(ToString::to_string).collect())
}

fn sapi(method: &str, path: &str, body: &Value, answer: &Value) -> Value {
    json!({"log_id": "1", "data": {
        "type": "sapi", "date": "2026-11-23T10:00:00.123Z", "client_id": "c1", "user_id": "auth0|actor",
        "details": {
            "request": {"method": method, "path": path, "body": body},
            "response": {"statusCode": 200, "body": answer},
        },
    }})
}

#[test]
fn the_envelope_may_be_missing() {
    let date = "2026-11-23T10:00:00.123Z";
    let flat = json!({"type": "s", "date": date, "client_id": "c1", "user_id": "auth0|a", "_id": "1"});
    let expected = LogRecord {
        log_id: Some("1".to_owned()),
        kind: "s".to_owned(),
        date: Some(datetime!(2026-11-23 10:00:00.123 UTC)),
        client_id: Some("c1".to_owned()),
        updated_at: None,
        effect: Effect::Login {
            user: user("auth0|a"),
        },
        profile_update: Some(ProfileUpdate {
            user: user("auth0|a"),
            copy: LocalCopy {
                last_login_at: Some(datetime!(2026-11-23 10:00:00.123 UTC)),
                ..LocalCopy::default()
            },
            ask: false,
        }),
        tenant: None,
    };
    assert_eq!(read(&json!({"log_id": "1", "data": flat})), expected);
    let bare = LogRecord {
        log_id: None,
        ..expected
    };
    assert_eq!(read(&flat), bare);
}

#[test]
fn what_is_not_there_or_odd_spoils_nothing_else() {
    let bare = LogRecord {
        log_id: None,
        kind: "s".to_owned(),
        date: None,
        client_id: None,
        updated_at: None,
        effect: Effect::Other,
        profile_update: None,
        tenant: None,
    };
    for record in [
        json!({"type": "s"}),
        json!({"type": "s", "user_id": null, "client_id": null, "date": null, "details": null}),
        json!({"type": "s", "user_id": "", "client_id": "", "date": "", "details": "whatever..."}),
        json!({"type": "s", "client_id": 5, "date": "Tuesday", "details": [[[]]]}),
        json!({"type": "s", "client_id": "a\0b", "date": 1_760_000_000, "details": {"request": 5}}),
    ] {
        assert_eq!(read(&record), bare, "{record}");
    }
    let deep = format!(
        r#"{{"type":"ss","details":{},"user_agent":"\ud800","user_id":"auth0|a"}}"#,
        "[".repeat(9_000) + &"]".repeat(9_000)
    );
    assert_eq!(
        parse(deep.as_bytes()).unwrap().effect,
        Effect::SignUp {
            user: user("auth0|a")
        }
    );
}

#[test]
fn sign_ins_and_sign_ups_tell_their_subject() {
    let by = |kind: &str| read(&json!({"type": kind, "user_id": "samlp|corp|a+b@c.d"})).effect;
    let user = user("samlp|corp|a+b@c.d");
    for kind in ["s", "scoa", "sens"] {
        assert_eq!(by(kind), Effect::Login { user: user.clone() }, "{kind}");
    }
    assert_eq!(by("ss"), Effect::SignUp { user });
    for kind in ["ssa", "seacft", "fp", "slo", "never seen", "s.x"] {
        assert_eq!(by(kind), Effect::Other, "{kind}");
    }
}

fn cloud_event(kind: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "type": kind, "id": "evt_1", "time": "2026-11-23T10:00:00Z", "data": data})
}

#[test]
fn an_event_of_event_streams_tells_the_user_after_the_change() {
    let with = |roles: &Value| json!({"user_id": "auth0|a", "app_metadata": {"roles": roles}});
    let (without, roles) = (json!({"user_id": "auth0|a"}), with(&json!(["editor"])));
    let table = [
        (
            "user.created",
            json!({"object": roles}),
            written("auth0|a", set(&["editor"])),
        ),
        (
            "user.updated",
            json!({"object": roles}),
            written("auth0|a", set(&["editor"])),
        ),
        (
            "user.updated",
            json!({"object": without}),
            written("auth0|a", set(&[])),
        ),
        (
            "user.updated",
            json!({"object": roles, "previous_object": without}),
            written("auth0|a", set(&["editor"])),
        ),
        (
            "user.updated",
            json!({"object": without, "previous_object": roles}),
            written("auth0|a", set(&[])),
        ),
        (
            "user.updated",
            json!({"object": roles, "previous_object": roles}),
            written("auth0|a", WrittenRoles::Untouched),
        ),
        (
            "user.updated",
            json!({"object": with(&json!("x")), "previous_object": roles}),
            written("auth0|a", WrittenRoles::Unknown),
        ),
        (
            "user.updated",
            json!({"object": {"user_id": "auth0|a", "app_metadata": 5}}),
            written("auth0|a", WrittenRoles::Unknown),
        ),
        (
            "user.deleted",
            json!({"object": roles}),
            Effect::Deleted {
                user: user("auth0|a"),
            },
        ),
        (
            "organization.created",
            json!({"object": {"id": "org_1"}}),
            Effect::Other,
        ),
    ];
    for (kind, data, effect) in table {
        assert_eq!(read(&cloud_event(kind, &data)).effect, effect, "{kind} {data}");
    }
    let by = cloud_event(
        "user.deleted",
        &json!({"object": roles, "context": {"client": {"id": "c9"}}}),
    );
    let record = read(&by);
    assert_eq!(
        (record.kind.as_str(), record.client_id.as_deref()),
        ("user.deleted", Some("c9"))
    );
    assert_eq!(record.date, Some(datetime!(2026-11-23 10:00:00 UTC)));
}

#[test]
fn a_record_that_cannot_be_read_is_refused_by_field() {
    let table: [(&[u8], Reason, &str); 19] = [
        (b"", Reason::NotJson, "payload: "),
        (b"{", Reason::NotJson, "payload: "),
        (b"{}{}", Reason::NotJson, "payload: "),
        (b"\xff", Reason::NotUtf8, "payload: "),
        (b"null", Reason::WrongType, "payload: "),
        (b"[]", Reason::WrongType, "payload: "),
        (b"\"s\"", Reason::WrongType, "payload: "),
        (b"{}", Reason::MissingField, "type: "),
        (br#"{"type":null}"#, Reason::MissingField, "type: "),
        (br#"{"log_id":"1","data":{}}"#, Reason::MissingField, "type: "),
        (br#"{"log_id":"1","data":null}"#, Reason::WrongType, "data: "),
        (br#"{"log_id":"1","data":"s"}"#, Reason::WrongType, "data: "),
        (br#"{"type":5}"#, Reason::WrongType, "type: "),
        (br#"{"type":""}"#, Reason::BadValue, "type: "),
        (br#"{"type":"a\u0000"}"#, Reason::BadValue, "type: "),
        (br#"{"type":"s","user_id":5}"#, Reason::WrongType, "user_id: "),
        (
            br#"{"type":"s","user_id":"a\u0000b"}"#,
            Reason::BadValue,
            "user_id: ",
        ),
        (br#"{"specversion":"1.0"}"#, Reason::MissingField, "type: "),
        (
            br#"{"specversion":"1.0","type":"user.updated","data":{"object":{}}}"#,
            Reason::MissingField,
            "data.object.user_id: ",
        ),
    ];
    for (payload, reason, opening) in table {
        let shown = String::from_utf8_lossy(payload);
        let reject = parse(payload).expect_err(&shown);
        assert_eq!(reject.reason, reason, "{shown}: {reject}");
        assert!(reject.detail.starts_with(opening), "{shown}: {reject}");
    }
}

/// Real records, from the folder in `SAMPLES_DIR`: each is parsed and compared with its description, which the parser
/// does not use.
#[test]
fn recorded_records_are_understood() {
    let Ok(folder) = std::env::var("SAMPLES_DIR") else {
        eprintln!("skipped: SAMPLES_DIR is not set");
        return;
    };
    let mut read_records = 0;
    let (mut by_api, mut by_record) = (BTreeSet::new(), BTreeSet::new());
    for file in ["ruby-auth0-cassettes.json", "go-auth0-recordings.json"] {
        let text = std::fs::read_to_string(format!("{folder}/logs/{file}")).unwrap();
        for sample in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let record = sample["record"].get("data").unwrap_or(&sample["record"]);
            let LogRecord {
                kind, date, effect, ..
            } = read(&sample["record"]);
            assert_eq!(record["type"], kind.as_str());
            assert!(date.is_some(), "{record}");
            match (
                kind.as_str(),
                record["description"].as_str().unwrap_or_default(),
                &effect,
            ) {
                ("ss", _, Effect::SignUp { user }) => assert_eq!(record["user_id"], user.as_str()),
                ("sapi", "Create a User", Effect::Written { user, .. }) => {
                    assert_eq!(record["details"]["response"]["body"]["user_id"], user.as_str());
                }
                ("sapi", "Delete a User", Effect::Deleted { user }) => drop(by_api.insert(user.clone())),
                ("sdu", _, Effect::Deleted { user }) => drop(by_record.insert(user.clone())),
                ("sapi", "Create import users job" | "Delete a connection", Effect::BulkImport) => {}
                ("ss" | "sdu", ..)
                | (
                    "sapi",
                    "Create a User" | "Delete a User" | "Create import users job" | "Delete a connection",
                    _,
                ) => {
                    panic!("{effect:?} of {record}");
                }
                _ => assert_eq!(effect, Effect::Other, "{record}"),
            }
            read_records += 1;
        }
    }
    assert_eq!(read_records, 89);
    assert!(
        !by_record.is_empty() && by_record.is_subset(&by_api),
        "{by_record:?} of {by_api:?}"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(payload: Vec<u8>) {
        prop_assert!(parse(&payload).is_err());
    }

    #[test]
    fn no_shape_of_members_makes_it_panic(
        kind in "s|ss|sdu|sapi|sui|user\\.updated|\\PC{0,9}",
        path in "/api/v2/(users|roles|jobs)?/?\\PC{0,12}", method in "patch|post|delete",
        user_id in prop::option::of(any::<String>()), text: String, event: bool,
    ) {
        let object = json!({"user_id": user_id, "app_metadata": {"roles": [text]}});
        let mut record = json!({
            "type": kind, "user_id": user_id, "description": format!("user_id: {text}"), "strategy": text,
            "details": {
                "request": {"method": method, "path": path, "body": object},
                "response": {"body": object},
            },
            "data": {"object": object, "previous_object": text},
        });
        if event {
            record["specversion"] = "1.0".into();
        }
        if let Err(reject) = parse(record.to_string().as_bytes()) {
            prop_assert!(reject.detail.len() < 1_000, "{}", reject.detail);
        }
    }
}
