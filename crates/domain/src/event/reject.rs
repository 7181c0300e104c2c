//! The reasons for which a message becomes a dead letter.
//!
//! Owns the closed list of reasons and the wording of a refusal. Must never repeat more of a payload than a short,
//! escaped part, since the text is shown to operators and stored.

use std::fmt;

/// Maximum number of characters of a message that a detail repeats.
const EXCERPT_CHARS: usize = 32;
/// Maximum number of characters of a detail; our own texts are shorter, also around an escaped part of a message.
const DETAIL_CHARS: usize = 500;

/// The reason a message was refused. The dead letter stores it unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.as_str())]
pub struct Reject {
    /// Kind of the fault.
    pub reason: Reason,
    /// Names the field and the expected value; shows at most a short, escaped part of the actual value.
    pub detail: String,
}

/// The kinds of faults of a message. The list is closed, so a kind may be a metric's label.
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
    /// A field occurs twice, so its value is ambiguous.
    DuplicateField,
    /// A field, or the whole payload, has another JSON type than expected.
    WrongType,
    /// A field of the right type has an invalid value.
    BadValue,
    /// The contract has no such event type.
    UnknownType,
    /// The subject names another playlist, or belongs to another event type.
    SubjectMismatch,
    /// The webhook could not split the delivery and published it on a separate subject.
    Unreadable,
    /// Another event was already counted under its id.
    IdReused,
    /// The subject or the headers hold bytes that no delivery can carry.
    Unparsable,
    /// Postgres refused the message, or did not finish with it in time.
    RefusedByDatabase,
    /// The process ended three times in a row while it folded this message.
    CrashedWorker,
    /// The operator skipped the message.
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
    /// A rejection because of `field`; `fault` describes the fault. A fault of a JSON parser may repeat a whole value, so it is cut.
    #[must_use]
    pub fn new(reason: Reason, field: &str, fault: impl fmt::Display) -> Self {
        let mut detail = format!("{field}: {fault}");
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { reason, detail }
    }
}

/// A rejection of `value`; the detail shows its beginning.
pub(crate) fn bad_value(field: &str, expected: &str, value: &str) -> Reject {
    Reject::new(
        Reason::BadValue,
        field,
        format_args!("{expected}, got \"{}\"", excerpt(value)),
    )
}

/// The beginning of `text`, escaped so that it fits into a log line or a column.
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
