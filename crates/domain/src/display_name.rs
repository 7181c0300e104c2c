//! The display name of a user: `user_metadata.displayName`.
//!
//! Owns the valid form of a name and which name, if any, must be written. Must never give the default to a user who has
//! any value there, and never accept NUL or another control character: Postgres' `text` refuses NUL.

use std::fmt;

/// Maximum length of a display name, in characters. A whole profile at Auth0 holds 10 KB.
pub const MAX_DISPLAY_NAME_CHARS: usize = 100;

/// A valid display name: 1 to 100 characters, not only blanks, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Accepts `raw` unchanged if it is valid; otherwise returns the expected form.
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

/// `user_metadata.displayName` as a profile shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenName {
    /// No `user_metadata`, or no `displayName` in it, or null.
    Missing,
    /// A text, possibly empty.
    Is(String),
    /// Any other value. It is overwritten only by a name that the user requested.
    Odd,
}

/// Source of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameSource {
    /// The user had no name.
    Default,
    /// The user requested the name.
    Requested,
}

impl NameSource {
    /// Both sources.
    pub const ALL: [Self; 2] = [Self::Default, Self::Requested];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Requested => "requested",
        }
    }
}

/// A name to write. Prints without the name, which is private data of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// The name.
    pub name: DisplayName,
    /// Source of the name.
    pub by: NameSource,
}

impl fmt::Display for NameChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            NameSource::Default => "default display name",
            NameSource::Requested => "requested display name",
        })
    }
}

/// The name to write to a profile that shows `seen`: the requested name unless it is already there, else the default if
/// there is none. While a name is `refused` none is sent: another would most likely be refused too, and delay the roles
/// that are written with it.
#[must_use]
pub fn name_change(
    seen: &SeenName,
    requested: Option<&DisplayName>,
    default: Option<&DisplayName>,
    refused: bool,
) -> Option<NameChange> {
    let is = |name: &DisplayName| matches!(seen, SeenName::Is(is) if is == name.as_str());
    if refused {
        return None;
    }
    if let Some(name) = requested {
        let by = NameSource::Requested;
        return (!is(name)).then(|| NameChange {
            name: name.clone(),
            by,
        });
    }
    let name = default.filter(|_| *seen == SeenName::Missing)?.clone();
    let by = NameSource::Default;
    Some(NameChange { name, by })
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
        let (requested, default) = (name("Ann"), name("user"));
        let there = |text: &str| SeenName::Is(text.to_owned());
        let default_is = Some(("user", NameSource::Default));
        let requested_is = Some(("Ann", NameSource::Requested));
        for (seen, requested, default, refused, expected) in [
            (SeenName::Missing, None, Some(&default), false, default_is),
            (SeenName::Missing, None, None, false, None),
            (there("Bob"), None, Some(&default), false, None),
            (there(""), None, Some(&default), false, None),
            (SeenName::Odd, None, Some(&default), false, None),
            (
                SeenName::Missing,
                Some(&requested),
                Some(&default),
                false,
                requested_is,
            ),
            (
                there("Bob"),
                Some(&requested),
                Some(&default),
                false,
                requested_is,
            ),
            (SeenName::Odd, Some(&requested), None, false, requested_is),
            (there("Ann"), Some(&requested), Some(&default), false, None),
            // While a name is refused, no other name is sent.
            (there("Bob"), Some(&requested), Some(&default), true, None),
            (SeenName::Missing, Some(&requested), Some(&default), true, None),
            (SeenName::Missing, None, Some(&default), true, None),
        ] {
            let named = name_change(&seen, requested, default, refused);
            let named = named.as_ref().map(|one| (one.name.as_str(), one.by));
            assert_eq!(named, expected, "{seen:?} {requested:?} {refused:?}");
        }
    }
}
