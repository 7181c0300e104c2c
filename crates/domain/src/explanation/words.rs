//! The words of explanations.
//!
//! Owns how times, counts, marks and outcomes read in a sentence. Must never have a control character of a stored text in one.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::system::CountedTo;
use crate::plural::noun;

/// A time in UTC and whole seconds.
#[must_use]
pub fn moment(at: OffsetDateTime) -> String {
    let whole = at.to_offset(UtcOffset::UTC).replace_nanosecond(0);
    let text = whole.ok().and_then(|at| at.format(&Rfc3339).ok());
    text.unwrap_or_else(|| at.to_string())
}

/// A number of plays.
pub(crate) fn plays(number: i64) -> String {
    format!("{number} {}", noun(number, "play", "plays"))
}

/// A stored text in one line.
#[must_use]
pub fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// An id in the quotes of a shell.
#[must_use]
pub fn quoted(id: &str) -> String {
    format!("'{}'", id.replace('\'', r"'\''"))
}

/// The words of `rolekeeper brake release` for a mark in the work queue; none for the loss of a stream.
pub(super) fn brakes_of(mark: &str) -> &'static [&'static str] {
    match mark {
        "brake_grants" => &["grants"],
        "brake_revokes" => &["revokes"],
        "brake_both" => &["grants", "revokes"],
        "brake_gone" => &["gone"],
        _ => &[],
    }
}

/// The outcome of a decision.
#[must_use]
pub fn outcome(outcome: Option<&str>, sent: bool) -> &str {
    match outcome {
        None if sent => "open: sent, and its result is not known",
        None => "open: not sent",
        Some("written") => "done: Auth0 responded",
        Some("confirmed") => "done: a later attempt saw it",
        Some("superseded") => "given up: no longer wanted, or made by another client",
        Some("gone") => "closed: the account is gone",
        Some("shadow") => "not sent: writes were off",
        Some("reverted") => "rolekeeper changed it back",
        Some("left") => "left so",
        Some(other) => other,
    }
}

/// The reason of a change that no rule decided.
#[must_use]
pub fn reason(reason: &str) -> &str {
    match reason {
        "user_deleted" => "the user was deleted at Auth0",
        "user_returned" => "Auth0 knows the user again",
        "linked" => "the id was linked to another account, or another id to it",
        "moved" => "the operator moved the person to another id",
        "pinned" => "a pin stands",
        other => other,
    }
}

/// The sentences about an unknown user.
#[must_use]
pub fn unknown(user: &str, maybe_erased: bool, counted_to: Option<CountedTo>) -> String {
    let counted = counted_to.map_or_else(
        || "no event has been counted yet".to_owned(),
        |to| {
            let (seq, at) = (to.stream_seq, moment(to.stored_at));
            format!("events are counted up to message {seq} of APP_EVENTS, which the stream stored at {at}")
        },
    );
    let erased = if maybe_erased {
        ". Users were erased here: set ERASURE_KEY to learn whether this one was"
    } else {
        ""
    };
    format!(
        "{user}: unknown: no playlist, role, attempt or profile of this id is stored. Check the id, and put it in quotes: \
         'auth0|6132829445244d0069782a78'. A user is known from the first saved playlist or the first login on; {counted}{erased}"
    )
}
