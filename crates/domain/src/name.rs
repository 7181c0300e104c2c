//! Names that users give: to a song, to a playlist.
//!
//! Owns what such a name may be. Must never let a NUL or another control character through: Postgres' `text`
//! refuses NUL, and a name is shown to others.

use super::event::MAX_NAME_CHARS;

/// What is expected, for whoever sent something else.
const EXPECTED: &str = "expected 1 to 256 characters, not only blanks and none of them a control character";

/// The same as a regular expression of ECMA 262; the length is stated beside it.
pub const NAME_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// A name: 1 to 256 characters, not only blanks, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Accepts `raw` as it stands if it is well formed; otherwise says what is expected.
    pub fn parse(raw: impl Into<String>) -> Result<Self, &'static str> {
        let raw = raw.into();
        let well_formed = !raw.trim().is_empty()
            && raw.chars().count() <= MAX_NAME_CHARS
            && !raw.chars().any(char::is_control);
        if well_formed { Ok(Self(raw)) } else { Err(EXPECTED) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_in_characters_and_hold_nothing_invisible() {
        for good in ["a", " Road trip ", "é\u{1f3b5}", &"é".repeat(256)] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "  ", "\u{3000}", "a\0", "a\nb", "\u{85}", &"é".repeat(257)] {
            assert_eq!(Name::parse(bad), Err(EXPECTED), "{bad:?}");
        }
    }
}
