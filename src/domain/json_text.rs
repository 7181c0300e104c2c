//! JSON text from outside, made legible before it is parsed.
//!
//! Owns one repair: half of a surrogate pair. `JavaScript` cuts texts between UTF-16 units, and `JSON.stringify` then writes an
//! escape such as `\ud83d` that stands for no character; serde refuses the whole document for it. Must never change the length
//! of a text, so that offsets into the repaired text are offsets into the original, nor any byte outside such an escape.

use std::borrow::Cow;

/// What takes the place of half a pair; an escape, and as long as the one that it replaces.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// The same JSON text with each lone surrogate escape replaced by the escape of U+FFFD. Borrows where nothing is to be replaced.
/// A text that is no JSON stays no JSON.
#[must_use]
pub fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut repaired: Option<Vec<u8>> = None;
    let bytes = json.as_bytes();
    let mut at = 0;
    // A backslash stands inside strings only, and an escaped one is passed over together with what follows it.
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
        // ASCII in place of ASCII cannot spoil a text.
        Some(Err(_)) | None => Cow::Borrowed(json),
    }
}

/// The UTF-16 unit that the escape at `at` stands for; none if no `\u` escape stands there.
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
    use proptest::prelude::*;
    use serde_json::Value;

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
        let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{escapes}\"")
    }

    proptest! {
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
