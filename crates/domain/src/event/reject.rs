//! Why a message ends in the dead letters.
//!
//! Owns the closed list of reasons and how a refusal is worded. Must never repeat more of a payload than a
//! short, escaped part: it is shown to people and stored.

use std::fmt;

/// Most characters of somebody else's text that a detail repeats.
const EXCERPT_CHARS: usize = 32;

/// Why a message was not understood. Goes to the dead letters as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.as_str())]
pub struct Reject {
    /// What kind of fault it is.
    pub reason: Reason,
    /// Names the field and what was expected; of the value it shows a short, escaped part at most.
    pub detail: String,
}

/// The kinds of fault a message can have. Closed, so that it may be a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Longer than the contract allows.
    Oversized,
    /// Not UTF-8.
    NotUtf8,
    /// Not one JSON text.
    NotJson,
    /// A required field is absent or null.
    MissingField,
    /// A field is there twice, so that it is open which one is meant.
    DuplicateField,
    /// A field, or the whole payload, has another JSON type than expected.
    WrongType,
    /// A field of the right type holds what it must not hold.
    BadValue,
    /// An event of a type that the contract does not have.
    UnknownType,
    /// The subject names another playlist, or belongs to another type.
    SubjectMismatch,
    /// It came on the subject for what the webhook could not split.
    Unreadable,
    /// Another event was counted under its id before.
    IdReused,
    /// Its subject or its headers hold bytes that no delivery can carry.
    Unparsable,
    /// Postgres refused to take it, or did not finish with it in time.
    RefusedByDatabase,
    /// It was being folded at three ends of a process in a row.
    CrashedWorker,
    /// An operator skipped it.
    Skipped,
}

impl Reason {
    /// Every reason, so that metrics can start at 0.
    pub const ALL: [Self; 15] = [
        Self::Oversized,
        Self::NotUtf8,
        Self::NotJson,
        Self::MissingField,
        Self::DuplicateField,
        Self::WrongType,
        Self::BadValue,
        Self::UnknownType,
        Self::SubjectMismatch,
        Self::Unreadable,
        Self::IdReused,
        Self::Unparsable,
        Self::RefusedByDatabase,
        Self::CrashedWorker,
        Self::Skipped,
    ];

    /// The reason as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::MissingField => "missing_field",
            Self::DuplicateField => "duplicate_field",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::UnknownType => "unknown_type",
            Self::SubjectMismatch => "subject_mismatch",
            Self::Unreadable => "unreadable",
            Self::IdReused => "id_reused",
            Self::Unparsable => "unparsable",
            Self::RefusedByDatabase => "refused_by_database",
            Self::CrashedWorker => "crashed_worker",
            Self::Skipped => "skipped",
        }
    }
}

impl Reject {
    /// A rejection because of `field`, of which `fault` says what is wrong.
    #[must_use]
    pub fn new(reason: Reason, field: &str, fault: impl fmt::Display) -> Self {
        Self {
            reason,
            detail: format!("{field}: {fault}"),
        }
    }
}

/// A rejection of `value`, of which the detail shows the beginning.
pub(crate) fn bad_value(field: &str, expected: &str, value: &str) -> Reject {
    Reject::new(
        Reason::BadValue,
        field,
        format_args!("{expected}, got \"{}\"", excerpt(value)),
    )
}

/// The beginning of `text`, escaped so that it can stand in a log line or a column.
pub(crate) fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars
        .by_ref()
        .take(EXCERPT_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
