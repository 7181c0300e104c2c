//! The rules in force, and how they came into force.
//!
//! Owns the value. Must never decide which rules are in force.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::seconds;

/// The rules in force and their history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RulesShown {
    /// The rules in force; null before the first start of a worker.
    pub in_force: Option<InForce>,
    /// The comparison of users with them.
    pub walk: Option<Walk>,
    /// Earlier activations and this one, newest first.
    pub history: Vec<Activation>,
    /// There are older ones.
    pub more: bool,
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InForce {
    /// Version of the rules; 0 without one.
    pub version: i64,
    /// SHA-256 of the text.
    pub fingerprint: String,
    /// Time since which they are in force.
    #[serde(serialize_with = "seconds")]
    pub since: OffsetDateTime,
    /// The file or command that put them in force; null for an earlier release.
    pub put_by: Option<String>,
    /// The rules as a rules file.
    pub rules: String,
}

/// Progress of the comparison of users with the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// The comparison after a change has not ended yet.
    pub changed: bool,
    /// Time at which it was requested.
    #[serde(serialize_with = "seconds")]
    pub requested_at: OffsetDateTime,
    /// Last compared user.
    pub position: String,
    /// Partitions so far.
    pub partitions: i64,
    /// Partitions of the last whole round.
    pub last_partitions: i64,
}

/// An activation of rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Activation {
    /// Order of the acts.
    pub act_id: i64,
    /// Time of the act.
    #[serde(serialize_with = "seconds")]
    pub at: OffsetDateTime,
    /// Name of the operator, or of the worker.
    pub by: String,
    /// The command.
    pub command: String,
    /// Its arguments.
    pub arguments: Value,
    /// The reason.
    pub why: Option<String>,
    /// The result.
    pub outcome: String,
}
