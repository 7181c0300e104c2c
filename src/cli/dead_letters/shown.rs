//! The text of a dead letter.
//!
//! Owns the forms of keys, times and bytes. Must never pass a byte of a message to the terminal unchanged that is more than
//! printable text.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcDateTime};

use crate::bus::STREAMS;
use crate::store::{Letter, LetterKey};

/// Bytes as text: printable characters as they are, all others escaped, so that each text stands for one sequence of bytes.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for sign in chunk.valid().chars() {
            match sign {
                '"' | '\'' => text.push(sign),
                _ => text.extend(sign.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A text of one line from outside.
pub(super) fn line(text: &str) -> String {
    bytes(text.as_bytes())
}

/// A time to the second.
pub(super) fn time(at: OffsetDateTime) -> Result<String> {
    Ok(UtcDateTime::from(at.replace_nanosecond(0)?).format(&Rfc3339)?)
}

/// The name of a letter: what the operator types.
pub(super) fn name(key: &LetterKey) -> String {
    format!("{} {}", key.stream, key.seq)
}

/// A key as one word, for the next page.
pub(super) fn key(key: &LetterKey) -> String {
    let micros = key.stored_at.unix_timestamp_nanos() / 1_000;
    format!("{}/{}/{micros}", key.stream, key.seq)
}

/// Parses the word of a key.
pub(super) fn parsed(word: &str) -> Result<LetterKey> {
    let parts: Vec<&str> = word.split('/').collect();
    let key = || {
        let [stream, seq, micros] = parts[..] else {
            return None;
        };
        let ns = micros
            .parse::<i64>()
            .ok()
            .map(|micros| i128::from(micros) * 1_000)?;
        Some(LetterKey {
            stream: STREAMS.iter().find(|known| **known == stream)?.to_string(),
            seq: seq.parse().ok()?,
            stored_at: OffsetDateTime::from_unix_timestamp_nanos(ns).ok()?,
        })
    };
    key().with_context(|| {
        format!(
            "--after \"{}\": expected a key as `list` prints it",
            word.escape_debug()
        )
    })
}

/// A letter without its message, as JSON.
pub(super) fn object(letter: &Letter) -> Result<Value> {
    let handled = letter.handled.as_ref();
    Ok(json!({
        "key": key(&letter.key), "stream": letter.key.stream, "seq": letter.key.seq, "stored_at": time(letter.key.stored_at)?,
        "subject": letter.subject, "reason": letter.reason, "detail": letter.detail, "size_bytes": letter.size,
        "kept_bytes": letter.payload.len(), "kept_at": time(letter.kept_at)?, "kept_by": letter.kept_by,
        "handled": handled.map(|(how, _)| how), "handled_at": handled.map(|(_, at)| time(*at)).transpose()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_without_an_effect_on_the_terminal() {
        assert_eq!(bytes(br#"{"name":"it's"}"#), r#"{"name":"it's"}"#);
        assert_eq!(bytes("Köln \u{1b}[2J\n\0".as_bytes()), "Köln \\u{1b}[2J\\n\\0");
        assert_eq!(bytes(b"a\xff\\"), "a\\xff\\\\");
        assert_eq!(bytes("\u{202e}\u{9b}".as_bytes()), "\\u{202e}\\u{9b}");
    }

    #[test]
    fn a_key_is_one_word() {
        let word = "APP_EVENTS/4711/1764000000123456";
        assert_eq!(key(&parsed(word).expect("a key")), word);
        for bad in [
            "",
            "APP_EVENTS/1",
            "OTHER/1/2",
            "APP_EVENTS/x/2",
            "APP_EVENTS/1/99999999999999999999",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
