//! The announcement of a role change: subject and payload.
//!
//! Owns the schema of the payload and the form of the subject, both contracts with consumers. Must never omit a field
//! that distinguishes two changes, and never announce a change that was not completed.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::subjects::ROLE_CHANGES;

/// A completed role change as consumers read it: the fields of the JSON payload, in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Announcement {
    /// Row of the audit; the same in every repeat of this announcement.
    pub change_id: Uuid,
    /// Auth0 user id.
    pub user_id: String,
    /// The unchanged entry of `app_metadata.roles`.
    pub role: String,
    /// `granted` or `revoked`.
    pub change: String,
    /// The count that the rule compared at the decision.
    pub plays: i64,
    /// The rule that decided, with its thresholds.
    pub rule: Value,
    /// Event with which the count crossed the threshold; null for any other cause.
    pub event_id: Option<String>,
    /// Time of the decision, before any call.
    #[serde(with = "time::serde::rfc3339")]
    pub decided_at: OffsetDateTime,
    /// Time at which the change was known to be done.
    #[serde(with = "time::serde::rfc3339")]
    pub completed_at: OffsetDateTime,
    /// `written`: Auth0 responded to the write; `confirmed`: a later attempt saw the change.
    pub outcome: String,
    /// Reason of a change that no rule decided: `user_deleted`, `user_returned`, `linked`, `moved`, `pinned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Announcement {
    /// `roles.<role>.<granted|revoked>`.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{ROLE_CHANGES}{}.{}", token(&self.role), self.change)
    }

    /// The payload as JSON.
    ///
    /// # Errors
    /// A date outside the years 0 to 9999, which the clock of Postgres does not return.
    pub fn payload(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// A role as one token of a subject: any character outside `[A-Za-z0-9_-]` becomes `_`. Two roles may share a token;
/// the payload distinguishes them.
fn token(role: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == '-';
    role.chars()
        .map(|one| if plain(one) { one } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn granted(role: &str) -> Announcement {
        Announcement {
            change_id: Uuid::from_u128(7),
            user_id: "auth0|ann".to_owned(),
            role: role.to_owned(),
            change: "granted".to_owned(),
            plays: 100,
            rule: json!({ "role": role, "of": "best_playlist", "grant_at": 100, "revoke_below": 90 }),
            event_id: None,
            decided_at: datetime!(2026-11-23 10:00:00.25 UTC),
            completed_at: datetime!(2026-11-23 10:00:01 UTC),
            outcome: "written".to_owned(),
            reason: None,
        }
    }

    #[test]
    fn a_role_is_one_token_whatever_its_name() {
        for (role, subject) in [
            ("playlist_editor", "roles.playlist_editor.granted"),
            ("Level-2", "roles.Level-2.granted"),
            ("music.editor", "roles.music_editor.granted"),
            ("a b>*", "roles.a_b__.granted"),
            ("éditeur", "roles._diteur.granted"),
        ] {
            assert_eq!(granted(role).subject(), subject);
        }
    }

    #[test]
    fn the_payload_is_what_the_documentation_says() {
        let payload = String::from_utf8(granted("music.editor").payload().unwrap()).unwrap();
        assert_eq!(
            payload,
            r#"{"change_id":"00000000-0000-0000-0000-000000000007","user_id":"auth0|ann","role":"music.editor","change":"granted","plays":100,"rule":{"grant_at":100,"of":"best_playlist","revoke_below":90,"role":"music.editor"},"event_id":null,"decided_at":"2026-11-23T10:00:00.25Z","completed_at":"2026-11-23T10:00:01Z","outcome":"written"}"#
        );
    }
}
