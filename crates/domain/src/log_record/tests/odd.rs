//! Records with one invalid value: it affects only itself, whatever its form and place.

use super::*;
use crate::date;

/// JSON of values that serde, Postgres or its driver refuses.
fn odd_values() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(140), "]".repeat(140));
    let deeper = "{\"a\":".repeat(140) + "1" + &"}".repeat(140);
    let mut all: Vec<String> = [
        r#""DJ \ud83d""#,
        r#""\udc00\ud83d""#,
        r#""a\u0000b""#,
        "1e400",
        "-1e999",
        "99999999999999999999999999",
        r#""9999-12-31T23:59:59-23:59""#,
        r#""0000-01-01T00:00:00+23:59""#,
        "null",
        "[1e400]",
        r#"{"\ud83d":1e400}"#,
    ]
    .into_iter()
    .map(ToOwned::to_owned)
    .collect();
    all.extend([deep, deeper]);
    all
}

/// A write of another client; `odd` is in one place of the response, or absent.
fn write(odd: Option<(&str, &str)>) -> LogRecord {
    let mut user = json!({"user_id": "auth0|a", "email": "a@b.c", "name": "Ann", "picture": "https://x/y.png",
        "updated_at": "2026-11-23T10:00:00.000Z", "created_at": "2026-01-01T00:00:00.000Z",
        "app_metadata": {"roles": ["vip"]}, "user_metadata": {"x": 1}, "nickname": "n", "logins_count": 3});
    if let Some((member, _)) = odd {
        user[member] = json!("ODD");
    }
    let body = json!({"app_metadata": {"roles": ["vip"]}});
    let mut record = sapi("patch", "/api/v2/users/auth0%7Ca", &body, &user).to_string();
    if let Some((_, value)) = odd {
        record = record.replace("\"ODD\"", value);
    }
    parse(record.as_bytes()).unwrap_or_else(|reject| panic!("{record:.300}: {reject}"))
}

#[test]
fn f45_an_odd_value_in_an_answer_spoils_only_itself() {
    let whole = write(None);
    let plain = whole.profile_update.clone().unwrap().copy;
    for odd in odd_values() {
        for member in [
            "email",
            "name",
            "picture",
            "updated_at",
            "user_metadata",
            "nickname",
            "\u{1f600}",
        ] {
            let read = write(Some((member, &odd)));
            assert_eq!(
                (&read.effect, read.date),
                (&whole.effect, whole.date),
                "{member} {odd:.40}"
            );
            let copy = read.profile_update.unwrap().copy;
            for name in ["email", "name", "picture"]
                .into_iter()
                .filter(|name| *name != member)
            {
                let value = |copy: &LocalCopy| copy.fields[name].value.clone();
                assert_eq!(value(&copy), value(&plain), "{name} beside {member} {odd:.40}");
            }
        }
    }
}

#[test]
fn f45_a_cut_text_in_the_record_itself_spoils_only_itself() {
    let record = r#"{"log_id":"1","data":{"type":"s","date":"2026-11-23T10:00:00Z","user_id":"auth0|a","user_name":"a@b.c",
        "user_agent":"\ud83d","cut \ud83d":1,"client_name":"DJ \udc00"}}"#;
    let profile_update = parse(record.as_bytes()).unwrap().profile_update.unwrap();
    assert_eq!(profile_update.copy.fields["email"].value, json!("a@b.c"));
    let id = r#"{"type":"s","user_id":"auth0|\ud83d"}"#;
    let reject = parse(id.as_bytes()).unwrap_err();
    assert_eq!(reject.reason, Reason::BadValue, "{reject}");
}

#[test]
fn the_tenant_is_what_a_record_or_an_event_names() {
    let tenant = |record: Value| read(&record).tenant;
    let named = json!({"type": "s", "tenant_name": "music"});
    assert_eq!(tenant(named.clone()).as_deref(), Some("music"));
    assert_eq!(
        tenant(json!({"log_id": "1", "data": named})).as_deref(),
        Some("music")
    );
    let event = json!({"type": "x.y", "specversion": "1.0", "a0tenant": "music"});
    assert_eq!(tenant(event).as_deref(), Some("music"));
    for none in [json!(null), json!(""), json!(7)] {
        assert_eq!(tenant(json!({"type": "s", "tenant_name": none})), None);
    }
}

proptest! {
    #[test]
    fn f45_no_odd_value_anywhere_makes_it_panic(
        kind in "s|ss|sdu|sapi|sui|sce|sv|user\\.updated", at in 0..9_usize, odd in prop::sample::select(odd_values()),
        event: bool,
    ) {
        let mut marks = ["a@b.c", "2026-11-23T10:00:00Z", "Ann", "auth0|a", "vip", "c1", "music", "n@b.c", "1"];
        marks[at] = "ODD";
        let [email, date, name, id, role, client, tenant, new, log_id] = marks;
        let object = json!({"user_id": id, "email": email, "name": name, "updated_at": date, "newEmail": new,
            "last_login": date, "app_metadata": {"roles": [role]}});
        let mut record = json!({"type": kind, "log_id": log_id, "date": date, "time": date, "user_id": id, "client_id": client,
            "tenant_name": tenant, "a0tenant": tenant, "user_name": email, "description": id,
            "details": {"body": object, "request": {"method": "patch", "path": "/api/v2/users/auth0%7Ca", "body": object},
                "response": {"body": object}},
            "data": {"object": object, "previous_object": {"x": role}}});
        if event {
            record["specversion"] = json!("1.0");
        }
        let record = record.to_string().replace("\"ODD\"", &odd);
        if let Ok(read) = parse(record.as_bytes()) {
            let dates = [read.date, read.updated_at].into_iter().flatten();
            let copy = read.profile_update.map(|profile_update| profile_update.copy).unwrap_or_default();
            for date in dates.chain(copy.fields.values().map(|dated| dated.at)).chain(copy.last_login_at) {
                prop_assert_eq!(date::whole_micros(date), Some(date));
            }
        }
    }
}
