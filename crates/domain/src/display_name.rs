//! What a user is called: `user_metadata.displayName`.
//!
//! Owns what a name may be and which one, if any, is to be written. Must never give the default to a user who has
//! anything there, and never let a NUL or another control character through: Postgres' `text` refuses NUL.

use std::fmt;

/// Longest display name, in characters. A profile at Auth0 holds 10 KB in all.
pub const MAX_DISPLAY_NAME_CHARS: usize = 100;

/// A display name that may be written: 1 to 100 characters, not only blanks, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Accepts `raw` as it stands if it is well formed; otherwise says what is expected.
    pub fn parse(raw: impl Into<String>) -> Result<Self, &'static str> {
        let raw = raw.into();
        let well_formed = !raw.trim().is_empty()
            && raw.chars().count() <= MAX_DISPLAY_NAME_CHARS
            && !raw.chars().any(char::is_control);
        if well_formed {
            Ok(Self(raw))
        } else {
            Err("expected 1 to 100 characters, not only blanks and none of them a control character")
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `user_metadata.displayName` as a profile showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenName {
    /// No `user_metadata`, or no `displayName` in it, or null.
    Missing,
    /// A text, also an empty one.
    Is(String),
    /// Anything else. The user has something there: it is not overwritten but by a wish.
    Odd,
}

/// Why a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// The user had none.
    Default,
    /// The user said so.
    Wish,
}

impl NamedBy {
    /// As a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Wish => "wished",
        }
    }
}

/// A name that is to be written. Prints itself without the name, which is the user's own affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The name.
    pub name: DisplayName,
    /// Why.
    pub by: NamedBy,
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            NamedBy::Default => "default display name",
            NamedBy::Wish => "wished display name",
        })
    }
}

/// The name to write to a profile that shows `seen`: the wish unless it is there already, else the default if there
/// is nothing. While a name is `refused` none is sent: another would most likely be refused too, and hold up the roles
/// that are written with it.
#[must_use]
pub fn naming(
    seen: &SeenName,
    wish: Option<&DisplayName>,
    default: Option<&DisplayName>,
    refused: bool,
) -> Option<Naming> {
    let is = |name: &DisplayName| matches!(seen, SeenName::Is(is) if is == name.as_str());
    if refused {
        return None;
    }
    if let Some(name) = wish {
        let by = NamedBy::Wish;
        return (!is(name)).then(|| Naming {
            name: name.clone(),
            by,
        });
    }
    let name = default.filter(|_| *seen == SeenName::Missing)?.clone();
    let by = NamedBy::Default;
    Some(Naming { name, by })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DisplayName {
        DisplayName::parse(text).unwrap()
    }

    #[test]
    fn a_name_is_one_to_a_hundred_plain_characters() {
        for good in [
            "a",
            "user",
            "Ünïcødé 🎸",
            " Ann ",
            &"é".repeat(MAX_DISPLAY_NAME_CHARS),
        ] {
            assert_eq!(DisplayName::parse(good).unwrap().as_str(), good);
        }
        let long = "é".repeat(MAX_DISPLAY_NAME_CHARS + 1);
        for bad in ["", "  ", "\u{2003}", "a\0", "a\nb", "\u{85}a", &long] {
            assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn table_of_names() {
        let (wish, default) = (name("Ann"), name("user"));
        let there = |text: &str| SeenName::Is(text.to_owned());
        let default_is = Some(("user", NamedBy::Default));
        let wish_is = Some(("Ann", NamedBy::Wish));
        for (seen, wish, default, refused, expected) in [
            (SeenName::Missing, None, Some(&default), false, default_is),
            (SeenName::Missing, None, None, false, None),
            (there("Bob"), None, Some(&default), false, None),
            (there(""), None, Some(&default), false, None),
            (SeenName::Odd, None, Some(&default), false, None),
            (SeenName::Missing, Some(&wish), Some(&default), false, wish_is),
            (there("Bob"), Some(&wish), Some(&default), false, wish_is),
            (SeenName::Odd, Some(&wish), None, false, wish_is),
            (there("Ann"), Some(&wish), Some(&default), false, None),
            // While one is refused, no other is tried.
            (there("Bob"), Some(&wish), Some(&default), true, None),
            (SeenName::Missing, Some(&wish), Some(&default), true, None),
            (SeenName::Missing, None, Some(&default), true, None),
        ] {
            let named = naming(&seen, wish, default, refused);
            let named = named.as_ref().map(|one| (one.name.as_str(), one.by));
            assert_eq!(named, expected, "{seen:?} {wish:?} {refused:?}");
        }
    }
}
