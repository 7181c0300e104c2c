//! Names that users give to songs and playlists.
//!
//! Owns the valid form of a name. Must never accept NUL or another control character: Postgres' `text` refuses NUL, and
//! other users see the name.

use super::event::MAX_NAME_CHARS;

/// The expected form, for error messages.
const EXPECTED: &str = "expected 1 to 256 characters, not only blanks and none of them a control character";

/// The expected form as a regular expression of ECMA 262; the length is stated beside it.
pub const NAME_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// A valid name: 1 to 256 characters, not only blanks, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Accepts `raw` unchanged if it is valid; otherwise returns the expected form.
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
