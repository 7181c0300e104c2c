//! The text of a dead letter.
//!
//! Owns the forms of keys, times and bytes. Must never pass a byte of a message to the terminal unchanged that is more than
//! printable text.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcDateTime};

use crate::flow::letters;
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

/// Parses the word of a key.
pub(super) fn parsed(word: &str) -> Result<LetterKey> {
    letters::key(word).with_context(|| {
        format!(
            "--after \"{}\": expected a key as `list` prints it",
            word.escape_debug()
        )
    })
}

/// A letter without its message, as JSON.
pub(super) fn object(letter: &Letter) -> Result<Value> {
    Ok(serde_json::to_value(letters::shown(letter))?)
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
}
