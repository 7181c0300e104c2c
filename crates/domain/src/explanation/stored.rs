//! The rows that explain the roles of one user, as they were stored at one moment.
//!
//! Owns the values and their names in JSON. Must never decide, and never have data of the profile beside the roles.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;
use uuid::Uuid;

/// The newest rows, and whether there are older ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// There are older ones.
    pub more: bool,
}

/// One Auth0 id of the person, or an id that it was linked with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Id {
    /// Auth0 user id.
    pub id: String,
    /// Its relation to the person.
    pub is: IdKind,
    /// Time of the link, of the move or of its end.
    #[serde(with = "rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// The operator who moved it, and the reason.
    pub why: Option<String>,
}

/// Relation of an id to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// The id under which roles are decided and written.
    Primary,
    /// Linked to the primary.
    Linked,
    /// Linked to the primary, but a record, a token or the operator says that the link has ended.
    LinkedInDoubt,
    /// Moved by the operator, and stored by an attempt.
    Moved,
    /// Moved by the operator; the next attempt stores it.
    MovedNotStored,
    /// Linked to this account until the account was deleted at Auth0; it does not count any more.
    FormerlyLinked,
    /// The account that the id was linked to until that account was deleted at Auth0.
    FormerAccount,
}

/// The local copy of the user, as far as it concerns roles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    /// Time at which Auth0 first returned the user.
    #[serde(with = "rfc3339")]
    pub first_seen_at: OffsetDateTime,
    /// Time of the last request that got a response.
    #[serde(with = "rfc3339::option")]
    pub read_at: Option<OffsetDateTime>,
    /// Time since which Auth0 reports that it does not know the user.
    #[serde(with = "rfc3339::option")]
    pub deleted_since: Option<OffsetDateTime>,
    /// `app_metadata.roles` in that response; null without a whole profile, or if it had none.
    pub roles: Option<Value>,
    /// A whole profile is stored.
    pub has_profile: bool,
}

/// The playlists of all ids of the person that count.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Playlists {
    /// Number of playlists that count.
    pub count: i64,
    /// Number of deleted playlists, which count no plays.
    pub deleted: i64,
    /// Plays of the most played playlist.
    pub best: i64,
    /// Plays of all playlists together.
    pub total: i64,
    /// The most played ones.
    pub most_played: Vec<Playlist>,
}

/// One playlist.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Playlist {
    /// The app's id.
    pub playlist_id: String,
    /// Its owner: an id of the person.
    pub owner_id: String,
    /// Plays minus retractions, never below 0.
    pub plays: i64,
}

/// A pin of one id of the person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PinRow {
    /// The pinned id.
    pub user_id: String,
    /// The role.
    pub role: String,
    /// Whether the user holds the role while the pin stands.
    pub on: bool,
    /// Time at which it ends by itself.
    #[serde(with = "rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// Time of the pin.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// The operator, or the worker for a removal by hand.
    pub by: String,
    /// The reason.
    pub why: String,
}

/// The event with which a count crossed a threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crossing {
    /// The publisher's id of the event.
    pub event_id: String,
    /// Its sequence in `APP_EVENTS`.
    pub stream_seq: i64,
    /// Time at which the stream stored it.
    #[serde(with = "rfc3339")]
    pub stored_at: OffsetDateTime,
    /// The count: of the playlist right after the event while the user is queued, else of the rule at the decision.
    pub plays: i64,
}

/// The entry of the work queue of one id.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queued {
    /// The id.
    pub user_id: String,
    /// Urgency, from 0 (a role may have to be revoked) to 4 (verification).
    pub priority: i16,
    /// First enqueue since the user was last up to date; in the future for a timer.
    #[serde(with = "rfc3339")]
    pub enqueued_at: OffsetDateTime,
    /// No attempt starts before this time.
    #[serde(with = "rfc3339")]
    pub due_at: OffsetDateTime,
    /// End of the lease of the attempt in flight.
    #[serde(with = "rfc3339::option")]
    pub lease_until: Option<OffsetDateTime>,
    /// Failed attempts in a row.
    pub attempts: i32,
    /// Error of the last failed attempt.
    pub last_error: Option<String>,
    /// Time at which that attempt failed.
    #[serde(with = "rfc3339::option")]
    pub failed_at: Option<OffsetDateTime>,
    /// Time since which the user waits for the operator.
    #[serde(with = "rfc3339::option")]
    pub parked_at: Option<OffsetDateTime>,
    /// The mark of the brake, or of the loss of a stream, that holds the user's changes.
    pub held_by: Option<String>,
    /// That mark as of the last attempt, where the user was enqueued again since.
    pub last_held_by: Option<String>,
    /// The event that enqueued the user; null for any other cause.
    pub cause: Option<Crossing>,
}

/// A decided or witnessed change of a role: a row of the audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// Id of the row; also of its announcement.
    pub change_id: Uuid,
    /// The id that it was decided for.
    pub user_id: String,
    /// The role.
    pub role: String,
    /// `granted`, `revoked`, `restored`, `removed`, `given` or `taken`.
    pub change: String,
    /// The count of the rule at the decision.
    pub plays: i64,
    /// The rule that decided; null for a restore.
    pub rule: Value,
    /// The event that moved the user across a threshold, if it is known.
    pub event_id: Option<String>,
    /// Time at which the stream stored that event.
    #[serde(with = "rfc3339::option")]
    pub event_stored_at: Option<OffsetDateTime>,
    /// Its sequence in `APP_EVENTS`.
    pub event_seq: Option<i64>,
    /// Time of the decision.
    #[serde(with = "rfc3339")]
    pub decided_at: OffsetDateTime,
    /// Time at which its last write was sent.
    #[serde(with = "rfc3339::option")]
    pub attempted_at: Option<OffsetDateTime>,
    /// Time at which it was known to be done.
    #[serde(with = "rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
    /// The outcome, as in table `role_changes`; null while it is open.
    pub outcome: Option<String>,
    /// Reason where no rule decided.
    pub reason: Option<String>,
    /// The operator let it pass the brake.
    pub released: bool,
    /// The other client, of a change that another client made.
    pub client_id: Option<String>,
    /// The write that made it, in `writes` while that is kept.
    pub write_id: Option<Uuid>,
}

impl Decision {
    /// The event that carried the user across a threshold, as far as it is stored.
    pub(super) fn crossing(&self) -> Option<Crossing> {
        Some(Crossing {
            event_id: self.event_id.clone()?,
            stream_seq: self.event_seq?,
            stored_at: self.event_stored_at?,
            plays: self.plays,
        })
    }
}

/// A PATCH of `app_metadata.roles`, kept for some days.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Write {
    /// Id of the write.
    pub write_id: Uuid,
    /// The id that it was sent for.
    pub user_id: String,
    /// The roles in the read before it.
    pub read_roles: Value,
    /// The whole array that was sent.
    pub wrote_roles: Value,
    /// Time just before it was sent.
    #[serde(with = "rfc3339")]
    pub sent_at: OffsetDateTime,
    /// Time at which it was known to be done.
    #[serde(with = "rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
    /// Its response was read.
    pub answered: bool,
    /// `refused` or `not_seen`: it was not applied, as far as is known.
    pub closed: Option<String>,
}
