//! The words for the rows of an explanation, in text and in pages.
//!
//! Owns how a row reads. Must never say anything that the value does not have.

use serde_json::Value;
use time::OffsetDateTime;

use super::role::RoleExplained;
use super::stored::{Account, Decision, IdKind, PinRow, Queued, Write};
use super::words::{moment, outcome, reason};

fn time(at: Option<OffsetDateTime>) -> String {
    at.map_or_else(|| "-".to_owned(), moment)
}

/// A fact that may not be known.
#[must_use]
pub fn yes_no(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    }
}

/// The names in an array of texts; any other value as JSON.
#[must_use]
pub fn list(roles: &Value) -> String {
    let names = roles
        .as_array()
        .map(|roles| roles.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    match names.flatten() {
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.join(", "),
        None => roles.to_string(),
    }
}

impl IdKind {
    /// The relation of an id to the person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Primary => "the primary",
            Self::Linked => "linked to it",
            Self::LinkedInDoubt => "linked to it; the link may have ended",
            Self::Moved => "moved to it",
            Self::MovedNotStored => "moved to it, after the next attempt",
            Self::FormerlyLinked => "linked until the account was deleted",
            Self::FormerAccount => "the deleted account that it was linked to",
        }
    }
}

impl Queued {
    /// The meaning of the priority.
    #[must_use]
    pub fn waits_for(&self) -> &'static str {
        match self.priority {
            0 => "a role may have to be revoked",
            1 => "a role may have to be granted",
            2 => "a display name was requested",
            3 => "a record of the tenant's log names the user",
            _ => "the profile is to be verified",
        }
    }

    /// The state in one or two words.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.parked_at, &self.held_by, self.lease_until) {
            (Some(_), ..) => "parked",
            (None, Some(_), _) => "held",
            (None, None, Some(_)) => "attempt in flight",
            (None, None, None) if self.attempts > 0 => "retry",
            (None, None, None) => "waits",
        }
    }
}

impl RoleExplained {
    /// Whether the user holds it, in words.
    #[must_use]
    pub fn holds_words(&self) -> &'static str {
        yes_no(self.holds)
    }
}

impl PinRow {
    /// The state at a time.
    #[must_use]
    pub fn state(&self, now: OffsetDateTime) -> &'static str {
        match (self.until.is_some_and(|until| until <= now), self.on) {
            (true, _) => "ended",
            (false, true) => "on",
            (false, false) => "off",
        }
    }
}

impl Decision {
    /// The outcome in words.
    #[must_use]
    pub fn outcome_words(&self) -> &str {
        outcome(self.outcome.as_deref(), self.attempted_at.is_some())
    }

    /// The cause.
    #[must_use]
    pub fn cause(&self) -> String {
        match (&self.reason, &self.event_id, &self.client_id) {
            (Some(why), ..) => reason(why).to_owned(),
            (None, Some(event), _) => {
                let seq = self
                    .event_seq
                    .map_or_else(String::new, |seq| format!(" as message {seq}"));
                format!("event {event}, stored at {}{seq}", time(self.event_stored_at))
            }
            (None, None, Some(client)) => format!("client {client}"),
            (None, None, None) => "no event".to_owned(),
        }
    }
}

impl Write {
    /// The roles before it.
    #[must_use]
    pub fn read(&self) -> String {
        list(&self.read_roles)
    }

    /// The roles that were sent.
    #[must_use]
    pub fn wrote(&self) -> String {
        list(&self.wrote_roles)
    }

    /// The outcome.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match (self.closed.as_deref(), self.answered, self.completed_at) {
            (Some("refused"), ..) => "refused by Auth0",
            (Some(_), ..) => "not seen applied",
            (None, true, Some(_)) => "Auth0 responded",
            (None, false, Some(_)) => "seen applied",
            (None, _, None) => "not known yet",
        }
    }
}

impl Account {
    /// The sentences about the local copy.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let read = self.read_at.map_or_else(|| "never".to_owned(), moment);
        let mut said = vec![format!(
            "First seen at {}, last read at {read}.",
            moment(self.first_seen_at)
        )];
        if let Some(since) = self.deleted_since {
            said.push(format!("Auth0 does not know the user since {}.", moment(since)));
        } else if self.has_profile {
            let roles = self.roles.as_ref().map_or_else(|| "none".to_owned(), list);
            said.push(format!("All roles in it then: {roles}"));
        }
        said
    }
}
