//! Repairs untrusted JSON text before it is parsed.
//!
//! Owns the damage that one invalid value may do: it affects only itself. Serde refuses a whole document because of
//! half a surrogate pair (`JavaScript` cuts texts between UTF-16 units, and `JSON.stringify` then writes an escape like
//! `\ud83d` that is no character), a number beyond f64, or extreme nesting. Must never change the length of a text, so
//! that offsets into a repaired text are offsets into the original, nor return a value nested more deeply than serde
//! can parse again.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Maximum nesting that is kept of a document that serde refuses as a whole; serde itself reads 127 levels.
const DEEPEST: usize = 100;
/// Levels of a document in which invalid values are searched; a deeper invalid value affects the member around it.
const LEVELS: usize = 16;

/// Replacement of half a pair: an escape with the same length.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// The same JSON text with each lone surrogate escape replaced by the escape of U+FFFD. Borrows if there is nothing to
/// replace. A text that is no JSON stays invalid.
#[must_use]
pub fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut repaired: Option<Vec<u8>> = None;
    let bytes = json.as_bytes();
    let mut at = 0;
    // A backslash occurs only inside strings. An escaped backslash is skipped together with the next character.
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\\') {
        at += found;
        at += match (unit_at(bytes, at), unit_at(bytes, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                let copy = repaired.get_or_insert_with(|| bytes.to_vec());
                copy[at..at + 6].copy_from_slice(REPLACEMENT);
                6
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
        at = at.min(bytes.len());
    }
    match repaired.map(String::from_utf8) {
        Some(Ok(text)) => Cow::Owned(text),
        // ASCII replaced by ASCII leaves valid UTF-8.
        Some(Err(_)) | None => Cow::Borrowed(json),
    }
}

/// The members of a JSON object. A member that serde refuses is left out; as an element of a list it becomes null.
/// `None` if the text is no object. Lone surrogates must be replaced first.
#[must_use]
pub fn object(json: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(json).ok().or_else(|| members(json, 0))
}

fn members(json: &str, level: usize) -> Option<Map<String, Value>> {
    let unread: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let read = unread
        .into_iter()
        .filter_map(|(name, value)| Some((name, legible(value.get(), level + 1)?)));
    Some(read.collect())
}

fn legible(json: &str, level: usize) -> Option<Value> {
    if level + nesting(json) <= DEEPEST
        && let Ok(value) = serde_json::from_str(json)
    {
        return Some(value);
    }
    match json.as_bytes().first()? {
        _ if level >= LEVELS => None,
        b'{' => members(json, level).map(Value::Object),
        b'[' => {
            let unread: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let read = unread
                .into_iter()
                .map(|value| legible(value.get(), level + 1).unwrap_or_default());
            Some(Value::Array(read.collect()))
        }
        _ => None,
    }
}

/// Maximum nesting of lists and objects in a JSON text.
fn nesting(json: &str) -> usize {
    let (mut now, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The UTF-16 unit of the escape at `at`; `None` if there is no `\u` escape.
fn unit_at(bytes: &[u8], at: usize) -> Option<u16> {
    let [b'\\', b'u', digits @ ..] = bytes.get(at..at + 6)? else {
        return None;
    };
    digits.iter().try_fold(0_u16, |unit, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn f45_half_a_pair_is_replaced_and_nothing_else() {
        for (json, right) in [
            (r#""DJ \ud83d""#, r#""DJ \ufffd""#),
            (r#""\uDE00 x""#, r#""\ufffd x""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#"{"\ud83d":"é\udfff"}"#, r#"{"\ufffd":"é\ufffd"}"#),
            ("\"\\ud8", "\"\\ud8"),
            ("\"\\", "\"\\"),
            ("\\é", "\\é"),
            (r#""\ud83g""#, r#""\ud83g""#),
        ] {
            assert_eq!(replace_lone_surrogates(json), right, "{json}");
        }
        assert!(matches!(
            replace_lone_surrogates(r#""\ud83d\ude00""#),
            Cow::Borrowed(_)
        ));
    }

    /// A string literal of UTF-16 units, each as an escape.
    fn escaped(units: &[u16]) -> String {
        let mut literal = "\"".to_owned();
        for unit in units {
            let _ = write!(literal, "\\u{unit:04x}");
        }
        literal + "\""
    }

    #[test]
    fn f45_an_odd_member_is_left_out_alone() {
        let deep = format!("{}{}", "[".repeat(140), "]".repeat(140));
        let bottomless = "{\"a\":".repeat(9_000) + "1" + &"}".repeat(9_000);
        for odd in ["1e400", "-1e999", &deep, &bottomless] {
            let json =
                format!(r#"{{"odd":{odd},"in":{{"odd":{odd},"b":"]"}},"list":[1,{odd}],"name":"x \" {{"}}"#);
            let read = object(&json).unwrap();
            assert_eq!(read["in"]["b"], json!("]"), "{odd:.9}");
            assert_eq!(read["list"][0], json!(1), "{odd:.9}");
            assert_eq!(read["name"], json!("x \" {"), "{odd:.9}");
            let again = Value::Object(read.clone()).to_string();
            assert_eq!(object(&again), Some(read), "{odd:.9}");
        }
        assert_eq!(
            object(r#"{"odd":1e400,"list":[1e400]}"#),
            json!({"list": [null]}).as_object().cloned()
        );
        for none in ["[]", "1e400", "{", "", &deep] {
            assert_eq!(object(none), None, "{none:.9}");
        }
    }

    proptest! {
        #[test]
        fn f45_no_text_makes_it_panic(text in "([\\[\\]{}\",:]|1e400|\\\\u|d83d|a){0,60}|\\PC{0,40}") {
            let repaired = replace_lone_surrogates(&text);
            let _ = object(&repaired);
        }

        #[test]
        fn f45_any_units_are_read_as_utf16_is(units in prop::collection::vec(prop_oneof![
            any::<u16>(), 0xD800..0xE000_u16
        ], 0..12)) {
            let read: Value = serde_json::from_str(&replace_lone_surrogates(&escaped(&units))).unwrap();
            prop_assert_eq!(read, Value::String(String::from_utf16_lossy(&units)));
        }

        #[test]
        fn f45_any_text_keeps_its_length_and_what_was_legible(text in "(\\\\|u|d|8|\\PC|\"){0,40}") {
            let repaired = replace_lone_surrogates(&text);
            prop_assert_eq!(repaired.len(), text.len());
            if let Ok(before) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<Value>(&repaired).unwrap(), before);
            }
        }
    }
}
