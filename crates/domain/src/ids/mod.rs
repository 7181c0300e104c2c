//! Identifiers: parsed once at the edge, trusted afterwards.
//!
//! Owns the valid form of an id. Must never accept NUL or another control character: Postgres' `text` refuses NUL, so
//! one invalid id would fail a whole batch.

use std::borrow::Cow;
use std::fmt;

use inline_str::InlineStr;

mod inline_str;

/// Maximum length of an event, playlist or song id, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64;
/// Maximum length of a user id, in bytes.
pub const MAX_USER_ID_BYTES: usize = 255;

/// The bytes that a token may contain.
const OF_TOKENS: [bool; 256] = {
    let mut of_tokens = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        of_tokens[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        byte += 1;
    }
    of_tokens
};

/// An event, playlist or song id: `[A-Za-z0-9_-]{1,64}`, which is also a valid NATS subject token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token<'a>(InlineStr<'a>);

/// An Auth0 user id like `auth0|abc`: 1 to 255 bytes without control characters. It may contain several `|` and
/// characters like `@`, `.`, `+` or a space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId<'a>(Cow<'a, str>);

impl<'a> Token<'a> {
    /// Accepts `raw` if it is valid; otherwise returns the expected form.
    pub fn parse(raw: impl Into<Cow<'a, str>>) -> Result<Self, &'static str> {
        let raw = raw.into();
        let well_formed = (1..=MAX_TOKEN_BYTES).contains(&raw.len())
            // The loop checks every byte without an early exit, so that the compiler can unroll it.
            && raw
                .bytes()
                .fold(true, |so_far, byte| so_far & OF_TOKENS[usize::from(byte)]);
        if well_formed {
            Ok(Self(InlineStr::new(raw)))
        } else {
            Err("expected 1 to 64 characters of A-Z a-z 0-9 _ -")
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same id without borrows from its buffer.
    #[must_use]
    pub fn into_owned(self) -> Token<'static> {
        Token(self.0.into_owned())
    }
}

impl<'a> UserId<'a> {
    /// Accepts `raw` if it is valid; otherwise returns the expected form.
    pub fn parse(raw: impl Into<Cow<'a, str>>) -> Result<Self, &'static str> {
        let raw = raw.into();
        if (1..=MAX_USER_ID_BYTES).contains(&raw.len()) && !has_control(&raw) {
            Ok(Self(raw))
        } else {
            Err("expected 1 to 255 bytes without control characters")
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same id without borrows from its buffer.
    #[must_use]
    pub fn into_owned(self) -> UserId<'static> {
        UserId(Cow::Owned(self.0.into_owned()))
    }
}

/// Whether `text` contains a control character.
pub(super) fn has_control(text: &str) -> bool {
    // Almost all text is plain ASCII, and bytes are faster to check than characters.
    let plain = text
        .bytes()
        .fold(true, |so_far, byte| so_far & matches!(byte, b' '..=b'~'));
    !plain && text.chars().any(char::is_control)
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for UserId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_one_to_sixty_four_plain_characters() {
        for good in ["a", "pl_42", "01J-x", &"z".repeat(64)] {
            assert!(Token::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a.b", "é", "a\0", "a\n", &"z".repeat(65)] {
            assert!(Token::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_byte_is_judged_as_the_contract_says() {
        for byte in 0..=u8::MAX {
            let char = char::from(byte);
            let of_tokens = char.is_ascii_alphanumeric() || char == '_' || char == '-';
            assert_eq!(Token::parse(format!("a{char}b")).is_ok(), of_tokens, "{char:?}");
            assert_eq!(has_control(&format!("a{char}b")), char.is_control(), "{char:?}");
            assert_eq!(has_control(&format!("é{char}b")), char.is_control(), "{char:?}");
        }
    }

    #[test]
    fn owned_tokens_of_any_length_are_what_they_were() {
        for length in 1..=MAX_TOKEN_BYTES {
            let raw = "z".repeat(length);
            let borrowed = Token::parse(raw.as_str()).unwrap();
            let owned = borrowed.clone().into_owned();
            assert_eq!(owned.as_str(), raw);
            assert_eq!(owned, borrowed);
            assert_eq!(owned, Token::parse(raw.clone()).unwrap());
            assert_eq!(owned, owned.clone().into_owned());
        }
    }

    #[test]
    fn user_ids_may_hold_anything_printable() {
        for good in [
            "auth0|abc",
            "samlp|conn|a+b@c.d",
            "google oauth2|1",
            "é|1",
            &"u".repeat(255),
        ] {
            assert!(UserId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a\0b", "a\nb", "a\u{7f}", "a\u{85}", &"u".repeat(256)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
