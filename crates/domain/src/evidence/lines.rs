//! The lines of an evidence file: JSON, one object a line.
//!
//! Owns the members of each kind of line, a contract with auditors: the header first, then a line for each change in the order of
//! the chain, then the end. Must never say more of a user than the line of a change whose content is shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::place::Place;
use super::record::{Chained, ERASED, digest};
use crate::hash::{Hash, Salt};

/// Format of the file.
pub const FORMAT: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Format of the file.
    pub evidence: u32,
    /// Time at which it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// Start of the period.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// End of the period, which does not belong to it.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// Number of changes whose content is shown; null for all.
    pub sample: Option<u32>,
    /// The place before the first change; null if there is no change.
    pub start: Option<Place>,
}

/// A line of one change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number in the chain.
    pub position: i64,
    /// The hash of the change before it.
    pub previous: Hash,
    /// Its hash.
    pub hash: Hash,
    /// The digest of the content, where the content is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Value>,
    /// The user id, or the pseudonym of an erased user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The salt of the user's hash; none once the user was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
    /// The acts of operators that let it happen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<OfOperator>,
}

/// An act of an operator that released or pinned a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfOperator {
    /// Time of the act.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Name of the operator.
    pub by: String,
    /// The role that was logged in at Postgres.
    pub db_user: String,
    /// The command.
    pub command: String,
    /// The operator's reason.
    pub why: Option<String>,
    /// The result of the act.
    pub outcome: String,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The place of the last change; null if there is no change.
    pub end: Option<Place>,
    /// Number of changes.
    pub changes: u64,
    /// SHA-256 of all lines before this one, with their line breaks.
    pub sha256: Hash,
}

impl Line {
    /// The line of a change with its content.
    ///
    /// # Errors
    /// A date outside the years 0 to 9999.
    pub fn of(row: &Chained, acts: Vec<OfOperator>) -> serde_json::Result<Self> {
        Ok(Self {
            position: row.place.position,
            previous: row.previous,
            hash: row.place.hash,
            digest: None,
            record: Some(row.change.record(row.user)?),
            user_id: Some(row.change.user_id.clone()),
            salt: row.salt,
            acts,
        })
    }

    /// The same without the content: it still proves the chain.
    #[must_use]
    pub fn without_content(self) -> Self {
        let content = self.record.as_ref().map(digest);
        Self {
            digest: content.or(self.digest),
            record: None,
            user_id: None,
            salt: None,
            acts: vec![],
            ..self
        }
    }

    /// The id of the change, where the content is shown.
    #[must_use]
    pub fn change(&self) -> Option<&str> {
        self.record.as_ref()?["change_id"].as_str()
    }

    pub(super) fn place(&self) -> Place {
        Place {
            position: self.position,
            hash: self.hash,
        }
    }

    pub(super) fn is_erased(&self) -> bool {
        let user = self.user_id.as_deref().unwrap_or_default();
        let hash = user.strip_prefix(ERASED);
        hash.is_some_and(|hash| Hash::try_from(hash.to_owned()).is_ok())
    }
}
