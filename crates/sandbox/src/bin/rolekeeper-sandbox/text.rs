//! Text in columns.
//!
//! Owns widths and number formats; at most 100 characters a line. Must never depend on the content.

use std::fmt::{self, Write as _};

/// Columns for a line's text after its name.
pub(super) const TEXT: usize = 68;

/// Writes a title, with space above it.
pub(super) fn heading(out: &mut String, text: &str) -> fmt::Result {
    writeln!(out, "\n{text}")
}

/// Writes a name and its text, which is wrapped where it is too long.
pub(super) fn line(out: &mut String, name: &str, text: &str) -> fmt::Result {
    let mut name = name;
    let mut rest = String::new();
    for word in text.split(' ') {
        if !rest.is_empty() && rest.chars().count() + 1 + word.chars().count() > TEXT {
            writeln!(out, "  {name:<30}{rest}")?;
            (name, rest) = ("", String::new());
        }
        if !rest.is_empty() {
            rest.push(' ');
        }
        rest.push_str(word);
    }
    writeln!(out, "  {name:<30}{rest}")
}

/// Returns the text, without its middle where it is longer than `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= most {
        return text.to_owned();
    }
    let head = (most - 1) / 2;
    let tail = most - 1 - head;
    let part = |chars: &[char]| chars.iter().collect::<String>();
    format!("{}…{}", part(&chars[..head]), part(&chars[chars.len() - tail..]))
}

/// Returns the text, without its end where it is longer than `most` characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// As [`thousands`], for a number that may be below 0.
pub(super) fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

/// Returns a number with separators, such as `20,000`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        let grouped = [0, 7, 999, 1_000, 20_000, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "7", "999", "1,000", "20,000", "1,234,567"]);
        assert_eq!(signed(-1_500), "-1,500");
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 10), "abcd…ghijk");
        assert_eq!([cut("abcdef", 6), cut("abcdefg", 6)], ["abcdef", "abcde…"]);
    }
}
