//! Text of the pages: texts from outside, and sentences.
//!
//! Owns how a value reads. Must never let a text from outside change the direction or the look of the text around it: signs without a
//! shape are shown by their code.

use std::fmt::Display;

use rolekeeper_domain::view::figures::grouped;

/// Longest text that is shown whole, in characters.
const MOST_CHARS: usize = 500;

/// A text from outside in one line: control characters and signs that change the direction are shown by their code, and a long text is
/// cut, with its length.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for sign in text.chars().take(MOST_CHARS) {
        push(&mut shown, sign);
    }
    let chars = text.chars().count();
    if chars > MOST_CHARS {
        shown.push_str("\u{2026} (");
        shown.push_str(&grouped(i64::try_from(chars).unwrap_or(i64::MAX)));
        shown.push_str(" characters)");
    }
    shown
}

/// The same in several lines, and whole.
pub(super) fn visible_lines(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut shown = String::new();
        line.chars().for_each(|sign| push(&mut shown, sign));
        shown
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Adds a sign, or its code.
fn push(shown: &mut String, sign: char) {
    if is_unseen(sign) {
        shown.extend(sign.escape_unicode());
    } else {
        shown.push(sign);
    }
}

/// Whether a sign has no shape of its own, or changes the direction of those around it.
fn is_unseen(sign: char) -> bool {
    let directs = matches!(sign, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    sign.is_control()
        || directs
        || matches!(
            sign,
            '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{2028}' | '\u{2029}'
        )
}

/// A text that Postgres can compare: without the character 0, which it does not store.
pub(super) fn stored(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "")
    } else {
        text
    }
}

/// A sentence out of a clause.
pub(super) fn sentence(clause: impl Display) -> String {
    let text = clause.to_string();
    let mut signs = text.chars();
    let first = signs.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + signs.as_str() + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_without_a_shape_are_shown_by_their_code() {
        assert_eq!(visible("a\u{202e}b\u{7}"), "a\\u{202e}b\\u{7}");
        assert_eq!(visible("Köln 🎧 أهلا"), "Köln 🎧 أهلا");
        let long = visible(&"x".repeat(10_240));
        assert!(
            long.ends_with("… (10,240 characters)") && long.len() < 700,
            "{long}"
        );
        assert_eq!(visible_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
    }
}
