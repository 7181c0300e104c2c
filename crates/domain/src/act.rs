//! An act of an operator, as the audit keeps it.
//!
//! Owns the value. Must never hold a secret: a command passes only the named settings that it was called with.

use serde_json::Value;

/// An act of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Name of the operator.
    pub by: String,
    /// The command.
    pub command: &'static str,
    /// The arguments of the command: an object, without secrets.
    pub arguments: Value,
    /// The operator's reason.
    pub why: Option<String>,
}
