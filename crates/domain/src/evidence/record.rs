//! A completed role change, as it enters the chain.
//!
//! Owns the members that are hashed, none of which ever changes. Must never hash a user id without its salt.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::place::Place;
use crate::hash::{Hash, Salt, hash};

/// Prefix of the pseudonym of an erased user.
pub(super) const ERASED: &str = "erased:";

/// A completed role change of the audit, as far as it never changes any more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completed {
    /// Row of the audit.
    pub change_id: Uuid,
    /// Auth0 user id, or the pseudonym of an erased user; enters the chain as a salted hash.
    #[serde(skip)]
    pub user_id: String,
    /// The role.
    pub role: String,
    /// `granted` or `revoked`, or of another client's role `restored` or `removed`.
    pub change: String,
    /// The count of the rule at the decision.
    pub plays: i64,
    /// The rule that decided.
    pub rule: Value,
    /// Event with which the count crossed the threshold.
    pub event_id: Option<String>,
    /// Time at which the stream stored that event.
    #[serde(with = "time::serde::rfc3339::option")]
    pub event_stored_at: Option<OffsetDateTime>,
    /// Its sequence in the stream.
    pub event_seq: Option<i64>,
    /// Time of the decision.
    #[serde(with = "time::serde::rfc3339")]
    pub decided_at: OffsetDateTime,
    /// Time at which the last write was sent.
    #[serde(with = "time::serde::rfc3339::option")]
    pub attempted_at: Option<OffsetDateTime>,
    /// Time at which the change was known to be done.
    #[serde(with = "time::serde::rfc3339")]
    pub completed_at: OffsetDateTime,
    /// `written` or `confirmed`.
    pub outcome: String,
    /// Time for which the user was due before the attempt, milliseconds.
    pub queued_ms: i64,
    /// The operator let it pass the brake.
    pub released: bool,
    /// Our write that made the change.
    pub write_id: Option<Uuid>,
    /// Of a restore: the client whose change is restored.
    pub client_id: Option<String>,
    /// Of a restore: the record of that change in the tenant's log.
    pub log_id: Option<String>,
    /// Reason of a change that no rule decided.
    pub reason: Option<String>,
}

/// A change with its place in the chain, as the audit has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chained {
    /// The change.
    pub change: Completed,
    /// Its place.
    pub place: Place,
    /// The hash of the place before.
    pub previous: Hash,
    /// The hash of the user.
    pub user: Hash,
    /// The salt of that hash; none once the user was erased.
    pub salt: Option<Salt>,
}

impl Completed {
    /// Whether the user was erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.user_id.starts_with(ERASED)
    }

    /// The object that is hashed: all members, with the hash of the user in place of the id.
    ///
    /// # Errors
    /// A date outside the years 0 to 9999, which the clock of Postgres does not return.
    pub fn record(&self, user: Hash) -> serde_json::Result<Value> {
        let mut record = serde_json::to_value(self)?;
        record["user"] = user.to_string().into();
        Ok(record)
    }
}

/// The digest of a record: of its JSON without spaces, with the members of each object in the order of their names.
#[must_use]
pub fn digest(record: &Value) -> Hash {
    hash(&record.to_string())
}

/// The salted hash of a user id.
#[must_use]
pub fn user_hash(salt: Salt, user: &str) -> Hash {
    hash(&format!("{salt} {user}"))
}
