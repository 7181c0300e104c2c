//! Text of the pages: numbers, times and texts from outside.
//!
//! Owns how a value reads. Must never let a text from outside change the direction or the look of the text around it: signs without a
//! shape are shown by their code.

use std::fmt::Display;

/// Longest text that is shown whole, in characters.
const MOST_CHARS: usize = 500;

/// A whole number with its digits in groups of three.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 {
        text.insert(0, '-');
    }
    text
}

/// A rate a second; few digits are enough.
pub(super) fn rate(per_s: Option<f64>) -> String {
    match per_s {
        None => "-".to_owned(),
        Some(per_s) if per_s < 10.0 && per_s > 0.0 => format!("{per_s:.1}/s"),
        Some(per_s) => format!("{}/s", grouped(whole(per_s))),
    }
}

/// A span of time in one unit.
pub(super) fn span(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 120.0 => (s, "s"),
        s if s < 2.0 * 3_600.0 => (s / 60.0, "min"),
        s if s < 48.0 * 3_600.0 => (s / 3_600.0, "h"),
        s => (s / 86_400.0, "days"),
    };
    format!("{} {unit}", grouped(whole(number)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a figure of a page; the cast saturates"
)]
pub(super) fn whole(number: f64) -> i64 {
    number.round() as i64
}

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
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-1_234_567, "-1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(
            (rate(Some(0.25)), rate(Some(1234.6))),
            ("0.2/s".into(), "1,235/s".into())
        );
        let spans: Vec<String> = [0.4, 119.0, 120.0, 7_200.0, 172_800.0].map(span).into();
        assert_eq!(spans, ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }

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
