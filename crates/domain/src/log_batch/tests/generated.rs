//! Generated bodies: no byte of one is lost, in any form.

use super::*;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// A record as one line of JSON, in an envelope or flat.
fn record() -> impl Strategy<Value = String> {
    ("[a-z_]{1,8}", "[0-9]{1,60}", any::<bool>(), json_value()).prop_map(|(kind, id, flat, details)| {
        let record = json!({"type": kind, "log_id": id, "details": details});
        if flat {
            record.to_string()
        } else {
            json!({"log_id": id, "data": record}).to_string()
        }
    })
}

/// A line that begins with `!`, as no record does.
fn bad_line() -> impl Strategy<Value = String> {
    "![a-z{}:,\"\\[\\]]{0,20}"
}

/// Separators between two lines.
fn line_break() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\n", "\r\n", "\n\n", "\r\n \t\r\n"])
}

/// Parts of JSON in random order.
fn rubble() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"[",
        b"]",
        b"{",
        b"}",
        b"{}",
        b"{\"logs\":[",
        b"{\"data\":{",
        b"\"type\":\"s\"",
        b"\"log_id\":\"1\"",
        b"\"a\":1",
        b",",
        b"\n",
        b"\r\n",
        b" ",
        b"null",
        b"\"",
        b"\\ud800",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\0",
        b"\xc3\xa9",
        b"[]",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..24).prop_map(|parts| parts.concat())
}

fn assert_sound(body: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = body;
    for piece in split(body) {
        let start = rest
            .windows(piece.bytes.len())
            .position(|window| window == piece.bytes);
        prop_assert!(
            !piece.bytes.is_empty() && start.is_some(),
            "pieces are parts of the body in order"
        );
        rest = &rest[start.unwrap() + piece.bytes.len()..];
        let subject = piece.subject.as_str();
        prop_assert!((1..=64).contains(&subject.len()), "{subject}");
        prop_assert!(
            subject
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
        );
        prop_assert!((1..=128).contains(&piece.message_id.len()));
        prop_assert!(piece.message_id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        assert_sound(&body)?;
    }

    #[test]
    fn rubble_is_split_soundly(body in rubble()) {
        assert_sound(&body)?;
    }

    #[test]
    fn arrays_and_logs_objects_give_their_records(
        records in prop::collection::vec(record(), 0..8), gap in "[ \t\r\n]{0,3}", bom: bool
    ) {
        let array = format!("{gap}[{gap}{}{gap}]{gap}", records.join(&format!("{gap},{gap}")));
        let bom = if bom { "\u{feff}" } else { "" };
        for body in [format!("{bom}{array}"), format!("{bom}{{{gap}\"logs\":{array}}}")] {
            let pieces: Vec<_> = split(body.as_bytes()).collect();
            let bytes: Vec<_> = pieces.iter().map(|piece| piece.bytes).collect();
            prop_assert_eq!(bytes, records.iter().map(String::as_bytes).collect::<Vec<_>>());
            prop_assert!(pieces.iter().all(|piece| piece.subject.as_str() != UNREADABLE));
        }
    }

    #[test]
    fn lines_give_their_records_and_bad_lines_themselves(
        first in record(),
        more in prop::collection::vec((line_break(), prop_oneof![3 => record(), 1 => bad_line()]), 0..8),
        end in prop::option::of(line_break()), rotate in 0..8usize,
    ) {
        let mut lines: Vec<_> = std::iter::once(("\n", first)).chain(more).collect();
        let turns = rotate % lines.len();
        lines.rotate_left(turns);
        let mut body: String = lines.iter().flat_map(|(gap, line)| [*gap, line.as_str()]).collect();
        body.push_str(end.unwrap_or_default());
        let pieces: Vec<_> = split(body.as_bytes()).collect();
        prop_assert_eq!(pieces.len(), lines.len());
        for (piece, (_, line)) in pieces.iter().zip(&lines) {
            prop_assert_eq!(piece.bytes, line.as_bytes());
            prop_assert_eq!(piece.subject.as_str() == UNREADABLE, line.starts_with('!'));
        }
    }

    #[test]
    fn one_record_gives_itself(record in record(), gap in "[ \t\r\n]{0,3}", pretty: bool) {
        let record = if pretty {
            serde_json::to_string_pretty(&serde_json::from_str::<Value>(&record).unwrap()).unwrap()
        } else {
            record
        };
        let body = format!("{gap}{record}{gap}");
        let pieces: Vec<_> = split(body.as_bytes()).collect();
        prop_assert_eq!(pieces.len(), 1);
        prop_assert_eq!(pieces[0].bytes, record.as_bytes());
    }
}
