//! The text of a token: borrowed from its payload, or stored in the event itself.
//!
//! Owns the storage of the bytes. Must never expose it: two texts with the same characters are equal, however they are
//! stored.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use arrayvec::ArrayString;

/// Longest text that needs no allocation: a UUID with a short prefix. A longer text is allocated.
const INLINE_BYTES: usize = 40;

#[derive(Clone, Debug)]
pub(super) enum InlineStr<'a> {
    Borrowed(&'a str),
    /// A batch holds many thousands of ids, and allocating and freeing each would cost more than parsing it did.
    Inline(ArrayString<INLINE_BYTES>),
    Long(Box<str>),
}

impl<'a> InlineStr<'a> {
    pub(super) fn new(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Long(text.into_boxed_str()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Inline(text) => text,
            Self::Long(text) => text,
        }
    }

    pub(super) fn into_owned(self) -> InlineStr<'static> {
        match self {
            Self::Borrowed(text) => {
                ArrayString::from(text).map_or_else(|_| InlineStr::Long(text.into()), InlineStr::Inline)
            }
            Self::Inline(text) => InlineStr::Inline(text),
            Self::Long(text) => InlineStr::Long(text),
        }
    }
}

impl PartialEq for InlineStr<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for InlineStr<'_> {}

impl Hash for InlineStr<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for InlineStr<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InlineStr<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}
