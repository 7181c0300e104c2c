//! The errors of a run.
//!
//! Owns their texts, each with its remedy.

use crate::auth0::CallError;
use crate::store::StoreError;

/// The reason why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Postgres refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process runs it.
    #[error("another `rolekeeper discover` is running on this database")]
    Running,
    /// There is no role to look for.
    #[error("no rules are in force: start a worker, or run `rolekeeper rules apply`")]
    NoRules,
    /// Another run began meanwhile.
    #[error("another run began meanwhile; run `rolekeeper discover` again")]
    Restarted,
    /// The client lacks a scope.
    #[error(
        "{0}. Grant the application `rolekeeper` the scopes read:users and read:users_app_metadata, then run `rolekeeper \
         discover` again: it continues"
    )]
    Scope(String),
    /// Auth0 shows users without what the search found.
    #[error(
        "Auth0 finds {0} users by app_metadata.roles and shows no app_metadata: grant the application `rolekeeper` the scope \
         read:users_app_metadata, then run `rolekeeper discover` again: it continues"
    )]
    Hidden(usize),
    /// Auth0 refused, or gave no usable response for too long.
    #[error("{0}. Run `rolekeeper discover` again: it continues")]
    Call(String),
}

impl From<CallError> for DiscoveryError {
    /// The error of a call that is not tried again.
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::Scope { .. } => Self::Scope(text),
            _ => Self::Call(text),
        }
    }
}
