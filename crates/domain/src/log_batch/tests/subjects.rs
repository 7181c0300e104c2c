//! The type of a record, its subject and its message id.

use serde_json::json;

use super::*;

/// The first piece.
fn only(body: &[u8]) -> Piece<'_> {
    split(body).next().unwrap()
}

#[test]
fn a_record_is_read_for_its_type_alone() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (member, value) in [
        ("details", deep.as_str()),
        ("user_agent", r#""\ud800""#),
        ("client_id", "7"),
        (r"cut \ud83d", "1"),
    ] {
        let record = format!(r#"{{"type":"s","{member}":{value}}}"#);
        assert_eq!(shown(record.as_bytes()), [(record.clone(), "s")], "{member}");
    }
}

#[test]
fn only_a_plain_type_becomes_a_subject() {
    let (longest, too_long) = ("x".repeat(64), "x".repeat(65));
    for kind in ["s", "gd_auth_succeed", "0", &longest] {
        assert_eq!(
            only(json!({"type": kind}).to_string().as_bytes())
                .subject
                .as_str(),
            kind
        );
    }
    for kind in [
        json!(""),
        json!("S"),
        json!("user.updated"),
        json!("a b"),
        json!("*"),
        json!(">"),
        json!("é"),
        json!(too_long),
        json!(7),
        json!(null),
        json!(UNREADABLE),
        json!(EVENT),
    ] {
        assert_eq!(
            only(json!({"type": kind}).to_string().as_bytes())
                .subject
                .as_str(),
            OTHER,
            "{kind}"
        );
    }
}

#[test]
fn the_message_id_is_the_records_own_or_its_digest() {
    let longest = "9".repeat(128);
    let table = [
        (
            json!({"log_id": "outer", "data": {"type": "s", "log_id": "inner"}}),
            Some("inner"),
        ),
        (json!({"log_id": "outer", "data": {"type": "s"}}), Some("outer")),
        (
            json!({"log_id": "outer", "data": {"type": "s", "log_id": null}}),
            Some("outer"),
        ),
        (
            json!({"type": "s", "log_id": "flat", "_id": "other", "id": "third"}),
            Some("flat"),
        ),
        (json!({"type": "s", "_id": "old", "id": "third"}), Some("old")),
        (json!({"type": "s", "log_id": longest}), Some(longest.as_str())),
        (
            json!({"specversion": "1.0", "type": "user.created", "id": "evt_1", "data": {}}),
            Some("evt_1"),
        ),
        (json!({"type": "s", "id": "not an event"}), None),
        (json!({"type": "s"}), None),
        (json!({"type": "s", "log_id": ""}), None),
        (json!({"type": "s", "log_id": "a b"}), None),
        (json!({"type": "s", "log_id": "a\r\nb"}), None),
        (json!({"type": "s", "log_id": "é"}), None),
        (json!({"type": "s", "log_id": "9".repeat(129)}), None),
        (json!({"type": "s", "log_id": 5}), None),
    ];
    for (record, id) in table {
        let body = record.to_string();
        let expected = id.map_or_else(|| digest(body.as_bytes()), str::to_owned);
        assert_eq!(only(body.as_bytes()).message_id, expected, "{body}");
    }
    // FIPS 180-2, appendix B.1.
    let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(only(b"abc").message_id, of_abc);
}
