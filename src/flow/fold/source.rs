//! The streams that are folded.
//!
//! Owns the names of stream and stage, and the lock of the fold. Must never know what a message means.

use std::fmt;

use crate::bus::{APP_EVENTS, AUTH0_LOGS};
use crate::store::Lock;

/// The stream that is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Plays and playlists.
    AppEvents,
    /// The tenant's log.
    Auth0Logs,
}

impl Source {
    /// Name of the stream.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Self::AppEvents => APP_EVENTS,
            Self::Auth0Logs => AUTH0_LOGS,
        }
    }

    /// Name of the stage.
    #[must_use]
    pub fn stage(self) -> &'static str {
        match self {
            Self::AppEvents => "fold_app_events",
            Self::Auth0Logs => "fold_auth0_logs",
        }
    }

    /// The lock of its leader.
    pub(super) fn lock(self) -> Lock {
        match self {
            Self::AppEvents => Lock::FoldAppEvents,
            Self::Auth0Logs => Lock::FoldAuth0Logs,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stream())
    }
}
