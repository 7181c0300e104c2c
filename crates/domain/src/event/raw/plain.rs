//! Fast parser for the form in which nearly every publisher writes an event.
//!
//! Owns the definition of that plain form: one flat object of strings without escapes. Must never parse a payload
//! differently from serde, nor refuse one: every other payload goes to serde.

use std::borrow::Cow;

use super::{Raw, Text};

/// The fields of `text` if it is plain; `None` means that serde must parse it.
pub(in super::super) fn plain(text: &str) -> Option<Raw<'_>> {
    // Without a backslash, every quote opens or closes a string.
    if !is_free_of_escapes(text.as_bytes()) {
        return None;
    }
    let mut raw = Raw::default();
    let mut rest = text.strip_prefix("{\"")?;
    loop {
        let (name, after) = to_quote(rest)?;
        let (value, after) = to_quote(either(after, ":\"", ": \"")?)?;
        if let Some(field) = field(&mut raw, name) {
            // Serde refuses a duplicate field.
            if field.replace(Text(Cow::Borrowed(value))).is_some() {
                return None;
            }
        } else if name == "specversion" {
            // An envelope of CloudEvents.
            return None;
        }
        if after == "}" {
            return Some(raw);
        }
        rest = either(after, ",\"", ", \"")?;
    }
}

/// Whether no byte is a control character or a backslash. It takes eight bytes at a time, which a program that is linked for size
/// does not do by itself.
fn is_free_of_escapes(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(0, |found, word| found | escapes(word)) == 0
}

/// Not 0 if one of the eight bytes is a control character or a backslash: a subtraction borrows from the highest bit of a byte
/// that is too small, and bytes from 128 on have that bit themselves.
fn escapes(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    let control = word.wrapping_sub(EACH * 0x20) & !word;
    let other = word ^ (EACH * 0x5c);
    let backslash = other.wrapping_sub(EACH) & !other;
    (control | backslash) & (EACH * 0x80)
}

/// The text before the next quote, and the text after it.
fn to_quote(text: &str) -> Option<(&str, &str)> {
    let quote = memchr::memchr(b'"', text.as_bytes())?;
    Some((&text[..quote], &text[quote + 1..]))
}

/// The text after the separator, as most publishers write it or with a space as Python does.
fn either<'a>(text: &'a str, tight: &str, spaced: &str) -> Option<&'a str> {
    text.strip_prefix(tight).or_else(|| text.strip_prefix(spaced))
}

/// The slot of a field that an event can have; other fields are ignored.
fn field<'r, 'a>(raw: &'r mut Raw<'a>, name: &str) -> Option<&'r mut Option<Text<'a>>> {
    Some(match name {
        "type" => &mut raw.kind,
        "event_id" => &mut raw.event_id,
        "playlist_id" => &mut raw.playlist_id,
        "retracts" => &mut raw.retracts,
        "listener_id" => &mut raw.listener_id,
        "song_id" => &mut raw.song_id,
        "played_at" => &mut raw.played_at,
        "reason" => &mut raw.reason,
        "owner_id" => &mut raw.owner_id,
        "name" => &mut raw.name,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    #[test]
    fn what_publishers_write_is_plain() {
        for text in [
            r#"{"type":"play"}"#,
            r#"{"type": "play", "event_id": ""}"#,
            r#"{"name":"Dîner","played_at":"a:b,{c}","reason":" "}"#,
            r#"{"x":"1","x":"2","type":"play"}"#,
        ] {
            let plain = plain(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(plain, serde_json::from_str(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn each_byte_at_each_place_is_looked_at() {
        for length in 1..=17 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let expected = byte >= b' ' && byte != b'\\';
                    assert_eq!(is_free_of_escapes(&text), expected, "{byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn all_else_is_left_to_serde() {
        for text in [
            "",
            "{",
            "{}",
            r#"["type"]"#,
            r#" {"type":"play"}"#,
            r#"{"type":"play"} "#,
            r#"{"type":"play"}}"#,
            r#"{"type":"play",}"#,
            r#"{"type":"play""#,
            r#"{"type":"play"#,
            r#"{"type":"#,
            r#"{"type"}"#,
            r#"{"type":"play","type":"play"}"#,
            r#"{"type":null}"#,
            r#"{"x":{"type":"play"}}"#,
            r#"{"name":"\""}"#,
            r#"{"type":"play","specversion":"1.0"}"#,
            r#"{"name":"\u0061"}"#,
            "{\"name\":\"a\tb\"}",
            "{\"name\":\"a\0b\"}",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    const NAMES: &[&str] = &[
        "type",
        "event_id",
        "playlist_id",
        "retracts",
        "listener_id",
        "song_id",
        "played_at",
        "reason",
        "owner_id",
        "name",
        "typ",
        "added_later",
        "",
    ];
    const STRAY: &[&str] = &[
        "\"", "\\", "{", "}", ",", ":", " ", "\n", "\0", "\u{7f}", "é", "1", "null", "[", "\\u0061",
    ];

    proptest! {
        #[test]
        fn what_is_plain_is_read_as_serde_reads_it(
            fields in prop::collection::vec((select(NAMES), "\\PC{0,8}"), 0..8),
            spaced: bool,
            stray in prop::option::of((select(STRAY), any::<Index>(), 0..2_usize)),
        ) {
            let (colon, comma) = if spaced { (": ", ", ") } else { (":", ",") };
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("\"{name}\"{colon}\"{value}\""))
                .collect();
            let mut text: Vec<char> = format!("{{{}}}", fields.join(comma)).chars().collect();
            if let Some((stray, at, instead_of)) = stray {
                let at = at.index(text.len());
                text.splice(at..at + instead_of, stray.chars());
            }
            let text: String = text.into_iter().collect();
            if let Some(plain) = plain(&text) {
                prop_assert_eq!(Some(plain), serde_json::from_str(&text).ok(), "{}", text);
            }
        }
    }
}
