//! What an operator does, as the audit keeps it.
//!
//! Owns the value. Must never hold a secret: a command puts in what it was told, setting by setting.

use serde_json::Value;

/// An act of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Which operator.
    pub by: String,
    /// The command.
    pub command: &'static str,
    /// What it was told: an object, without secrets.
    pub arguments: Value,
    /// Why.
    pub why: Option<String>,
}
