//! Every form of a body, and that no byte is lost.

mod generated;
mod subjects;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The pieces as text, each with its subject.
fn shown(body: &[u8]) -> Vec<(String, &str)> {
    let shown = split(body).map(|piece| {
        let subject = [EVENT, OTHER, UNREADABLE, "s", "sapi"]
            .into_iter()
            .find(|&subject| subject == piece.subject.as_str())
            .unwrap_or("unexpected subject");
        (String::from_utf8_lossy(piece.bytes).into_owned(), subject)
    });
    shown.collect()
}

#[test]
fn the_body_tells_its_own_form() {
    let s = r#"{"log_id":"1","data":{"type":"s"}}"#;
    let sapi = r#"{ "_id":"2", "type":"sapi" }"#;
    let event = r#"{"specversion":"1.0","type":"user.updated","id":"evt_1","data":{"object":{}}}"#;
    let both = [(s, "s"), (sapi, "sapi")];
    let bad_between = [(s, "s"), ("{\"type\":", UNREADABLE), (sapi, "sapi")];
    let table: [(String, &[(&str, &str)]); 27] = [
        (format!("[{s},{sapi}]"), &both),
        (format!(" [ {s} ,\r\n\t{sapi} ] \n"), &both),
        (format!("\u{feff}[{s},{sapi}]"), &both),
        (format!("{{\"logs\":[{s},{sapi}]}}"), &both),
        (format!("{{ \"logs\" : [ {s} , {sapi} ], \"more\": 1 }}"), &both),
        (format!("{s}\n{sapi}"), &both),
        (format!("\u{feff}\n{s}\r\n\r\n  {sapi} \r\n"), &both),
        (format!("{s}\n{{\"type\":\n{sapi}\n"), &bad_between),
        (
            format!("{{\"type\":\n{s}"),
            &[("{\"type\":", UNREADABLE), (s, "s")],
        ),
        (format!("[\n{s}\n{sapi}"), &both),
        (format!("[{s}]\n{{\"logs\":[{sapi}]}}"), &both),
        (
            format!("[{s},null,{sapi},7]"),
            &[(s, "s"), ("null", UNREADABLE), (sapi, "sapi"), ("7", UNREADABLE)],
        ),
        (s.to_owned(), &[(s, "s")]),
        (format!("\n{sapi}\n"), &[(sapi, "sapi")]),
        (event.to_owned(), &[(event, EVENT)]),
        (format!("{event}\n{s}"), &[(event, EVENT), (s, "s")]),
        (format!("[{event}]"), &[(event, EVENT)]),
        (String::new(), &[]),
        ("\u{feff} \r\n\t".to_owned(), &[]),
        ("[]".to_owned(), &[]),
        ("{\"logs\":[]}".to_owned(), &[]),
        ("{}".to_owned(), &[("{}", OTHER)]),
        ("{\"logs\":null}".to_owned(), &[("{\"logs\":null}", OTHER)]),
        (
            "{\"log_id\":\"1\",\"logs\":[]}".to_owned(),
            &[("{\"log_id\":\"1\",\"logs\":[]}", OTHER)],
        ),
        (
            "{\"logs\":[1],\"type\":\"s\"}".to_owned(),
            &[("{\"logs\":[1],\"type\":\"s\"}", "s")],
        ),
        (" hello\nworld ".to_owned(), &[(" hello\nworld ", UNREADABLE)]),
        ("\u{feff}null".to_owned(), &[("\u{feff}null", UNREADABLE)]),
    ];
    for (body, pieces) in table {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|&(text, subject)| (text.to_owned(), subject))
            .collect();
        assert_eq!(shown(body.as_bytes()), pieces, "{body}");
    }
}

#[test]
fn values_one_behind_another_are_split_whatever_stands_between() {
    let (s, sapi) = (
        r#"{"log_id":"1","data":{"type":"s"}}"#,
        r#"{ "_id":"2", "type":"sapi" }"#,
    );
    let pretty =
        |text: &str| serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
    let (p, q) = (pretty(s), pretty(sapi));
    let expected = |a: &str, b: &str| vec![(a.to_owned(), "s"), (b.to_owned(), "sapi")];
    for between in ["", " ", ",", " , ", "\r", "\n", "\r\n", "\x1e", "\n\x1e", ",\n"] {
        for (a, b) in [(s, sapi), (&p, &q)] {
            let body = format!("{a}{between}{b}");
            assert_eq!(shown(body.as_bytes()), expected(a, b), "{between:?}");
        }
    }
    for whole in [
        format!("\x1e{s}\n\x1e{sapi}\n"),
        format!("[{s},{sapi},]"),
        format!("[{s},{sapi}"),
        format!("{{\"logs\":[{s},{sapi}"),
        format!("{{\"logs\":[{s},{sapi}]"),
    ] {
        assert_eq!(shown(whole.as_bytes()), expected(s, sapi), "{whole}");
    }
}

#[test]
fn a_broken_record_spoils_only_itself() {
    let (s, sapi) = (
        r#"{"log_id":"1","data":{"type":"s"}}"#,
        r#"{"_id":"2","type":"sapi"}"#,
    );
    let torn = r#"{"log_id":"3","data":{"type":,"x":{"a":1}}"#;
    let open = r#"{"log_id":"3","data":{"ty"#;
    let pretty = "{\n  \"log_id\": \"3\",\n  \"data\": {\n    \"type\": ,\n    \"x\": {}\n  }\n}";
    for (bad, body) in [
        (torn, format!("[{s},{torn},{sapi}]")),
        (torn, format!("{{\"logs\":[{s},{torn},{sapi}]}}")),
        (torn, format!("{s}\n{torn}\n{sapi}")),
        (open, format!("{s}\n{open}\n{sapi}")),
        (open, format!("[{s},{open},{sapi}]")),
        (pretty, format!("{s}\n{pretty}\n{sapi}\n")),
        (pretty, format!("[\n  {s},\n  {pretty},\n  {sapi}\n]")),
    ] {
        let expected = [
            (s.to_owned(), "s"),
            (bad.to_owned(), UNREADABLE),
            (sapi.to_owned(), "sapi"),
        ];
        assert_eq!(shown(body.as_bytes()), expected, "{body}");
    }
    let cut = format!("[{s},{open}");
    assert_eq!(
        shown(cut.as_bytes()),
        [(s.to_owned(), "s"), (open.to_owned(), UNREADABLE)]
    );
}

/// Bodies that make a parser read the rest of the body repeatedly.
#[test]
fn f53_no_body_takes_more_than_linear_time() {
    let begun = std::time::Instant::now();
    for (part, end) in [
        ("{\"a\":\n", ""),
        ("[", ""),
        ("{},", ""),
        ("1,", ""),
        ("{\"a\":,{\"log_id\":", "\n{}"),
        ("\"a\n", ""),
        ("{\"logs\":[", ""),
        ("{ \n", "{}"),
    ] {
        let body = part.repeat((1 << 18) / part.len()) + end;
        assert!(split(body.as_bytes()).count() >= 1, "{part}");
    }
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn bytes_that_are_not_utf8_spoil_only_their_record() {
    let body = b"[{\"type\":\"s\"},{\"type\":\"s\",\"user_agent\":\"\xff\xfe\"},{\"type\":\"sapi\"}]";
    let pieces: Vec<_> = split(body).collect();
    let subjects: Vec<_> = pieces.iter().map(|piece| piece.subject.as_str()).collect();
    assert_eq!(subjects, ["s", UNREADABLE, "sapi"]);
    assert_eq!(pieces[1].bytes, b"{\"type\":\"s\",\"user_agent\":\"\xff\xfe\"}");
}
