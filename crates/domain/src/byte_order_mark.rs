//! The byte order mark with which some programs begin a text.
//!
//! Owns that it is no part of the text. Must never remove one from elsewhere than the beginning.

/// The mark, U+FEFF.
pub const MARK: &str = "\u{feff}";

/// The text without the mark at its beginning.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_at_the_beginning_is_removed() {
        for (text, without) in [
            ("", ""),
            ("a", "a"),
            ("\u{feff}a\u{feff}", "a\u{feff}"),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
        ] {
            assert_eq!(without_mark(text), without, "{text:?}");
        }
    }
}
